"""Pair: an encoder and a decoder of image diffusion, with all that packaging them needs to know."""

from importlib.metadata import version
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import onnx
from torch import Tensor, nn
from torch.export import Dim

from training.bring.component import Component
from training.export.graphs import trace
from training.export.probes import GraphModule
from training.imports.families import FAMILIES, Config, DecoderNet, EncoderNet
from training.imports.folder import Loaded, load
from training.imports.reference import DecoderReference, EncoderReference, Own, Pipeline, own_of, pipeline_of
from training.imports.scaling import batch_norm_epsilon, missing_note, scaling_of, scaling_of_statistics
from vaeserve.errors import TrainingError
from vaeserve.package.contents import LatentScaling

# Rows and sides of the latent that a network is traced with. Larger than AutoencoderDC's attention heads have values:
# below that it computes the same attention in another order.
EXAMPLE = (2, 6, 7)


Posterior = Literal["gaussian", "none"]


class Pair(NamedTuple):
    """What the graphs are made of and measured by."""

    origin: str
    """What it is, in a few words."""
    posterior: Posterior
    channels: int
    """Of a picture."""
    latent_channels: int
    factor: int
    """Pixels of a side below each place of the latent."""
    sample_size: int | None
    """Sides of the pictures that it was trained on, as far as its configuration says."""
    scaling: LatentScaling
    encoder: Component
    decoder: Component
    references: dict[str, GraphModule]
    """By graph: the answers that it must give."""
    must_upcast: bool
    """Whether its configuration says that it overflows in half precision."""
    notes: tuple[str, ...]
    """What whoever imports it should know, one line each."""
    only_side: int | None = None
    """Of the squares that it was made for alone; None: pictures have any size."""

    @property
    def moments(self) -> tuple[str, ...]:
        """What the encoder answers."""
        return moments_of(self.posterior)


def diffusers_pair(folder: Path, *, applied: bool) -> Pair:
    """Returns the pair that lies in a folder of diffusers.

    Args:
        folder: that of the autoencoder.
        applied: whether its latents are to be scaled as its pipeline scales them.

    Raises:
        TrainingError: it cannot be loaded, or is not of a kind that is known.
    """
    loaded = load(folder)
    config, family = loaded.config, FAMILIES[loaded.class_name]
    patch, factor = family.patch(config), family.factor(config)
    _check(config, patch)
    channels, latent_channels = int(config["in_channels"]), int(config["latent_channels"]) * patch**2
    scaling, statistics = _scaling(loaded, latent_channels, applied=applied)
    note = missing_note(config, loaded.own, loaded.class_name)
    encoder, decoder = _components(loaded, channels, latent_channels, factor, patch)
    return Pair(
        origin=f"{loaded.class_name} of diffusers {version('diffusers')}",
        posterior=family.posterior,
        channels=channels,
        latent_channels=latent_channels,
        factor=factor,
        sample_size=sample_size_of(loaded.own),
        scaling=scaling,
        encoder=encoder,
        decoder=decoder,
        references=references_of(
            own_of(loaded.module), pipeline_of(config, statistics, scales=applied), family.posterior
        ),
        must_upcast=bool(loaded.own.get("force_upcast")),
        notes=(note,) if note else (),
    )


def references_of(own: Own, pipeline: Pipeline, posterior: Posterior) -> dict[str, GraphModule]:
    """Returns the references of both graphs, by name."""
    return {
        "encoder": GraphModule(EncoderReference(own, pipeline), ("data",), moments_of(posterior)),
        "decoder": GraphModule(DecoderReference(own, pipeline), ("latent",), ("data", "expectation")),
    }


def moments_of(posterior: Posterior) -> tuple[str, ...]:
    """Returns what an encoder answers."""
    return ("mean", "log_variance") if posterior == "gaussian" else ("mean",)


def _components(
    loaded: Loaded, channels: int, latent_channels: int, factor: int, patch: int
) -> tuple[Component, Component]:
    rows, *sides = EXAMPLE
    answer = "moments" if FAMILIES[loaded.class_name].posterior == "gaussian" else "mean"
    pictures = (rows, channels, *(factor * side for side in sides))
    return (
        _component("encoder", EncoderNet(loaded.module, patch), answer, pictures, factor),
        _component("decoder", DecoderNet(loaded.module, patch), "expectation", (rows, latent_channels, *sides), 1),
    )


def _check(config: Config, patch: int) -> None:
    """Refuses what no pipeline of pictures has."""
    taken, answered = config["in_channels"], config.get("out_channels", config["in_channels"])
    if taken != answered:
        raise TrainingError(
            f"config.json: takes {taken} channels and answers {answered}: a package's decoder answers what its encoder "
            "takes"
        )
    if patch not in (1, 2) or list(config.get("patch_size", (patch, patch))) != [patch, patch]:
        raise TrainingError(f"config.json: patch_size is {config['patch_size']}, pipelines cut latents into 2 x 2")


def _scaling(loaded: Loaded, channels: int, *, applied: bool) -> tuple[LatentScaling, nn.BatchNorm2d | None]:
    """Returns the scaling, and the module that holds its statistics where they are among the weights."""
    if loaded.class_name != "AutoencoderKLFlux2":
        return scaling_of(loaded.config, channels, applied=applied), None
    statistics: nn.BatchNorm2d = loaded.module.bn
    epsilon = batch_norm_epsilon(loaded.config)
    buffers = dict(statistics.named_buffers())
    return scaling_of_statistics(buffers["running_mean"], buffers["running_var"], epsilon, applied=applied), statistics


def _component(label: str, net: nn.Module, role: str, example: tuple[int, ...], multiple: int) -> Component:
    def run(*rows: Tensor) -> tuple[Tensor, ...]:
        return (net(*rows),)

    def model() -> onnx.ModelProto:
        free = {"rows": {axis: multiple * Dim(name) for axis, name in ((2, "high"), (3, "wide"))}}
        return trace(label, GraphModule(net, ("rows",), (role,)), {"rows": np.zeros(example, np.float32)}, free)

    return Component(label, run, (role,), model)


def sample_size_of(own: Config) -> int | None:
    """Returns the side that a configuration names itself: the defaults of the classes mean nothing."""
    size = own.get("sample_size")
    if isinstance(size, list) and size:
        size = size[0]
    return size if isinstance(size, int) and size > 0 else None
