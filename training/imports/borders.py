"""Borders: what lies between the networks' own tensors and those of a package. They become nodes of its graphs."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from training.bring.borders import Border
from training.scaling import as_data
from vaeserve.package.contents import LatentScaling
from vaeserve.package.data_spec import DataSpec

MIDDLE = 127.5  # the shade that networks see as 0; they see 0 and 255 as -1 and 1
LEAST_LOG_VARIANCE, MOST_LOG_VARIANCE = -30.0, 20.0  # diffusers clamps it to these


def encoder_border(channels: int, outputs: tuple[str, ...], scaling: LatentScaling) -> Border:
    """Returns data [batch, height, width, channels] -> mean, log_variance [batch, channels, height, width].

    Args:
        channels: of the latent.
        outputs: mean, and log_variance if there is a posterior.
        scaling: of the latents; it is done here if it is to be applied.
    """
    shift, scale = _columns(scaling)

    def before(data: Tensor) -> Sequence[Tensor]:
        return [(data.permute(0, 3, 1, 2).float() - MIDDLE) / MIDDLE]

    def after(answers: Mapping[str, Tensor]) -> Sequence[Tensor]:
        if "moments" in answers:
            halves = (answers["moments"].narrow(1, first, channels) for first in (0, channels))
            answers = dict(zip(("mean", "log_variance"), halves, strict=True))
        moments = [(answers["mean"].float() - shift) * scale]
        if "log_variance" in outputs:
            clamped = answers["log_variance"].float().clamp(LEAST_LOG_VARIANCE, MOST_LOG_VARIANCE)
            moments.append(clamped + 2 * scale.log())
        return moments

    return Border(("data",), outputs, before, after, {})


def decoder_border(data: DataSpec, scaling: LatentScaling) -> Border:
    """Returns latent [batch, channels, height, width] -> data, expectation [batch, height, width, channels]."""
    shift, scale = _columns(scaling)

    def before(latent: Tensor) -> Sequence[Tensor]:
        return [latent / scale + shift]

    def after(answers: Mapping[str, Tensor]) -> Sequence[Tensor]:
        expectation = answers["expectation"].float() * MIDDLE + MIDDLE
        return [as_data(expectation, data).permute(0, 2, 3, 1), expectation.permute(0, 2, 3, 1)]

    return Border(("latent",), ("data", "expectation"), before, after, {})


def _columns(scaling: LatentScaling) -> tuple[Tensor, Tensor]:
    """Returns shift and scale as constants that lie along the channels; 0 and 1 where graphs do not scale."""
    numbers = (scaling.shift, scaling.scale) if scaling.applied else ((0.0,), (1.0,))
    shift, scale = (torch.tensor(each, dtype=torch.float64).reshape(-1, 1, 1) for each in numbers)
    return shift, scale
