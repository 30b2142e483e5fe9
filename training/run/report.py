"""What a run says in a line: its start, its networks, what the graphs do to data, what proved them, where they lie."""

import shlex
from collections.abc import Sequence

from training.data import Dataset
from training.models import MODELS
from training.run.checkpoint import Checkpoint
from vaeserve.package.contents import Parity
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.directory import ModelPackage

_LINES = 20  # of what was left out


def opening(last: Checkpoint, dataset: Dataset) -> str:
    """Returns what a run starts from, in one line, then what is to be known of its data and what was left out of it."""
    config = last.config
    shape = " x ".join(map(str, dataset.spec.shape))
    has_steps = "epochs" in MODELS[config.model].uses
    resumed = f", resumed after epoch {last.epoch}" if last.epoch and has_steps else ""
    validated = f", {len(dataset.validation)} to validate on" if len(dataset.validation) else ""
    networks = networks_text(config.network, config.hidden_sizes)
    begun = (
        f"{dataset.name}: {len(dataset.train)} rows of {shape} values to train on{validated}, {len(dataset.test)} held "
        f"out; {config.model}, {networks}, {config.latent_size} latent values, seed {config.seed}{resumed}"
    )
    left_out = [f"left out {len(dataset.skipped)}:", *(f"  {line}" for line in dataset.skipped[:_LINES])]
    if len(dataset.skipped) > _LINES:
        left_out.append(f"  and {len(dataset.skipped) - _LINES} more")
    return "\n".join([begun, *dataset.notes, *(left_out if dataset.skipped else [])])


def networks_text(network: str, hidden_sizes: Sequence[int]) -> str:
    """Returns a short description of the encoder and the decoder, for example "mlp 256-128"."""
    return network if network == "linear" else f"{network} {'-'.join(map(str, hidden_sizes))}"


def proof(parity: Parity, met: str = "PyTorch's") -> str:
    """Returns what the parity gate found, in one line; `met` says whose answers the graphs were held against."""
    sizes = ", ".join(map(str, parity.batch_sizes))
    return f"{len(parity.checks)} outputs agree with {met} in batches of {sizes} rows"


def closing(package: ModelPackage, parity: Parity, met: str = "PyTorch's") -> str:
    """Returns what a verb that wrote a package prints at its end: its proof, where and what it is, what comes next."""
    directory, manifest = package.directory, package.manifest
    return (
        f"proved   {proof(parity, met)}\n"
        f"package  {directory}: {manifest.name}, version {manifest.version}\n"
        f"next     vae serve {shlex.quote(str(directory))}"
    )


def preprocessing_of(data: DataSpec, family: str) -> str:
    """Returns what the graphs do to data of that likelihood, in a sentence (see `scaling_of`)."""
    if data.kind == "table":
        return "Inside the graphs: the encoder scales every column to mean 0 and variance 1, the decoder scales back."
    rounded = "rounds the expectation, clips it to the same range and casts it to uint8"
    if data.dtype == "float32":
        rounded = "clips the expectation to the same range"
    source, target = f"[{data.minimum:g}, {data.maximum:g}]", "[0, 1]" if family == "bernoulli" else "[-1, 1]"
    return f"Inside the graphs: the encoder scales {source} to {target}; the decoder {rounded}."
