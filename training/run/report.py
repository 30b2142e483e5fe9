"""Lines that a run prints: its start, its networks, what its graphs do to data, their proof, the package."""

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
    """Returns a line about the start of a run, then the notes on its data and a list of what was left out."""
    config = last.config
    shape = " x ".join(map(str, dataset.spec.shape))
    has_steps = "epochs" in MODELS[config.model].uses
    resumed = f", resumed after epoch {last.epoch}" if last.epoch and has_steps else ""
    validated = f", {len(dataset.validation)} to validate on" if len(dataset.validation) else ""
    networks = networks_text(config.network, config.hidden_sizes)
    start = (
        f"{dataset.name}: {len(dataset.train)} rows of {shape} values to train on{validated}, {len(dataset.test)} held "
        f"out; {config.model}, {networks}, {config.latent_size} latent values, seed {config.seed}{resumed}"
    )
    left_out = [f"left out {len(dataset.skipped)}:", *(f"  {line}" for line in dataset.skipped[:_LINES])]
    if len(dataset.skipped) > _LINES:
        left_out.append(f"  and {len(dataset.skipped) - _LINES} more")
    return "\n".join([start, *dataset.notes, *(left_out if dataset.skipped else [])])


def epochs_text(last: Checkpoint, dataset: Dataset) -> str:
    """Returns how long a run was and which epoch it exports; empty for a kind without steps."""
    config = last.config
    if "epochs" not in MODELS[config.model].uses:
        return ""
    best = last.exported_best
    text = f"{last.epoch} epoch{'s' * (last.epoch != 1)}"
    if best is not None:
        text = f"best of {text}: {best}, by validation" if best else f"{text}, none better than the first weights"
    if last.epoch < config.epochs and last.is_over(len(dataset.train)):
        text += f"; ended early, of {config.epochs}: none was better for {config.patience} steps"
    if last.continuations:
        text += f"; lengthened after {' and '.join(str(each.epoch) for each in last.continuations)}"
    return text


def networks_text(network: str, hidden_sizes: Sequence[int]) -> str:
    """Returns a short description of the encoder and the decoder, for example "mlp 256-128"."""
    return network if network == "linear" else f"{network} {'-'.join(map(str, hidden_sizes))}"


def proof(parity: Parity, reference: str = "PyTorch's") -> str:
    """Returns the result of the parity gate in one line; `reference` says with whose answers the graphs agree."""
    sizes = ", ".join(map(str, parity.batch_sizes))
    return f"{len(parity.checks)} outputs agree with {reference} in batches of {sizes} rows"


def closing(package: ModelPackage, parity: Parity, reference: str = "PyTorch's", epochs: str = "") -> str:
    """Returns the text at the end of a verb that wrote a package: the proof, the package, the next command.

    Args:
        package: what was written.
        parity: the proof.
        reference: with whose answers the graphs agree.
        epochs: how long the run was; empty if it had none.
    """
    directory, manifest = package.directory, package.manifest
    return (
        (f"trained  {epochs}\n" if epochs else "") + f"proved   {proof(parity, reference)}\n"
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
