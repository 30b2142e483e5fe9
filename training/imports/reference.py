"""References: what a pair must answer, computed as pipelines of diffusers compute it, apart from the graphs.

The formulas are written once more here, in the terms of the pipelines and from the configuration itself, so that a
mistake in the graphs' scaling is a disagreement.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from training.imports.families import Autoencoder, Config
from training.imports.scaling import batch_norm_epsilon

Change = Callable[[Tensor], Tensor]


class Pipeline(NamedTuple):
    """What a pipeline does to latents between the autoencoder and its diffusion model."""

    enter: Change
    """The autoencoder's latent -> what the diffusion model sees."""
    leave: Change
    """Back again."""


class Own(NamedTuple):
    """The autoencoder itself."""

    encode: Callable[[Tensor], tuple[Tensor, ...]]
    """Pixels [batch, channels, height, width] in [-1, 1] -> mean, and log-variance if there is a posterior."""
    decode: Callable[[Tensor], Tensor]
    """A latent -> pixels of about [-1, 1]."""


class EncoderReference(nn.Module):
    """data -> mean, and log_variance if there is a posterior."""

    def __init__(self, own: Own, pipeline: Pipeline) -> None:
        super().__init__()
        self.own, self.pipeline = own, pipeline

    def forward(self, data: Tensor) -> tuple[Tensor, ...]:
        """Returns what an encoder must answer."""
        pixels = 2.0 * (data.permute(0, 3, 1, 2).to(torch.float32) / 255.0) - 1.0
        mean, *log_variance = self.own.encode(pixels)
        entered = self.pipeline.enter(mean.double())
        if not log_variance:
            return (entered.float(),)
        deviation = (0.5 * log_variance[0].double()).exp()
        spread = self.pipeline.enter(mean.double() + deviation) - entered
        return entered.float(), spread.square().log().float()


class DecoderReference(nn.Module):
    """latent -> data, expectation."""

    def __init__(self, own: Own, pipeline: Pipeline) -> None:
        super().__init__()
        self.own, self.pipeline = own, pipeline

    def forward(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Returns what a decoder must answer."""
        pixels = self.own.decode(self.pipeline.leave(latent.double()).float())
        expectation = (pixels.double() / 2 + 0.5).permute(0, 2, 3, 1) * 255
        return (expectation.clamp(0, 255).round().to(torch.uint8), expectation.float())


def own_of(module: Autoencoder) -> Own:
    """Returns an autoencoder of diffusers by its own methods."""

    def encode(pixels: Tensor) -> tuple[Tensor, ...]:
        answer = module.encode(pixels)
        if "latent_dist" in answer:
            return answer.latent_dist.mean, answer.latent_dist.logvar
        return (answer.latents if "latents" in answer else answer.latent,)

    return Own(encode, lambda latent: module.decode(latent).sample)


def pipeline_of(config: Config, statistics: nn.BatchNorm2d | None, *, scales: bool) -> Pipeline:
    """Returns what the pipelines of a configuration do.

    Args:
        config: of the autoencoder, with the defaults of its class.
        statistics: the normalisation that FLUX.2 keeps among the weights; its pipeline also cuts latents into patches.
        scales: whether latents are scaled; False: they are only cut into patches.
    """
    if statistics is not None:
        return _flux2(config, statistics, scales=scales)
    factor, shift = config.get("scaling_factor"), config.get("shift_factor")
    mean, std = config.get("latents_mean"), config.get("latents_std")
    if not scales or factor is None:
        return Pipeline(lambda z: z, lambda z: z)
    if mean is not None and std is not None:
        middle, width = (torch.tensor(each).double().view(1, -1, 1, 1) for each in (mean, std))
        return Pipeline(lambda z: (z - middle) * factor / width, lambda z: z * width / factor + middle)
    if shift:
        return Pipeline(lambda z: (z - shift) * factor, lambda z: z / factor + shift)
    return Pipeline(lambda z: z * factor, lambda z: z / factor)


def _flux2(config: Config, statistics: nn.BatchNorm2d, *, scales: bool) -> Pipeline:
    buffers = dict(statistics.named_buffers())
    mean = buffers["running_mean"].double().view(1, -1, 1, 1)
    std = (buffers["running_var"].double() + batch_norm_epsilon(config)).sqrt().view(1, -1, 1, 1)
    if not scales:
        mean, std = torch.zeros_like(mean), torch.ones_like(std)
    return Pipeline(lambda z: (_patches(z) - mean) / std, lambda z: _without_patches(z * std + mean))


def _patches(z: Tensor) -> Tensor:
    rows, channels, height, width = z.shape
    cut = z.view(rows, channels, height // 2, 2, width // 2, 2).permute(0, 1, 3, 5, 2, 4)
    return cut.reshape(rows, 4 * channels, height // 2, width // 2)


def _without_patches(z: Tensor) -> Tensor:
    rows, channels, height, width = z.shape
    cut = z.reshape(rows, channels // 4, 2, 2, height, width).permute(0, 1, 4, 2, 5, 3)
    return cut.reshape(rows, channels // 4, 2 * height, 2 * width)
