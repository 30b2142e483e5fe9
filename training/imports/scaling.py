"""Scaling: what a pipeline does to latents before its diffusion model sees them, from a configuration."""

import sys
from collections.abc import Sequence
from math import inf

import torch

from training.imports.families import Config
from vaeserve.errors import TrainingError
from vaeserve.package.contents import LatentScaling

_LARGEST = sys.float_info.max  # an integer of JSON may be larger
KEYS = ("scaling_factor", "shift_factor", "latents_mean", "latents_std")


def scaling_of(config: Config, channels: int, *, applied: bool) -> LatentScaling:
    """Returns the scaling that a configuration describes.

    Args:
        config: of an autoencoder, with the defaults of its class.
        channels: of the latent.
        applied: whether the graphs are to do it.

    Raises:
        TrainingError: a value is not what it must be.
    """
    mean, std = (_vector(config, key, channels) for key in ("latents_mean", "latents_std"))
    factor = _factor(config)
    shift = _number(config, "shift_factor", 0.0)
    if (mean is None) != (std is None):
        raise TrainingError("config.json: has one of latents_mean and latents_std; pipelines need both or neither")
    if mean is not None and std is not None:
        if not all(value > 0 for value in std):
            raise TrainingError("config.json: latents_std holds a value that is not above 0")
        scale = tuple(factor / value for value in std)
        if not all(0 < value < inf for value in scale):
            raise TrainingError("config.json: scaling_factor / latents_std is 0 or infinite for one of the channels")
        return LatentScaling(
            shift=mean,
            scale=scale,
            applied=applied,
            formula="latents = (z - latents_mean) * scaling_factor / latents_std",
        )
    formula = "latents = (z - shift_factor) * scaling_factor" if shift else "latents = z * scaling_factor"
    if (shift, factor) == (0, 1):
        formula = "latents = z"
    return LatentScaling(shift=(shift,), scale=(factor,), applied=applied, formula=formula)


def scaling_of_statistics(
    mean: torch.Tensor, variance: torch.Tensor, epsilon: float, *, applied: bool
) -> LatentScaling:
    """Returns the scaling of a pair that keeps the mean and variance of each channel among its weights.

    Args:
        mean: [channels].
        variance: [channels].
        epsilon: added to the variance.
        applied: whether the graphs are to do it.

    Raises:
        TrainingError: they are not finite, or a variance is not positive.
    """
    scale = (variance.double() + epsilon).rsqrt()
    if not (torch.isfinite(mean).all() and torch.isfinite(scale).all()):
        raise TrainingError("bn: the running mean and variance of the weights are not finite, or not positive")
    return LatentScaling(
        shift=tuple(mean.double().tolist()),
        scale=tuple(scale.tolist()),
        applied=applied,
        formula="latents = (patchify(z) - bn.running_mean) / sqrt(bn.running_var + batch_norm_eps), patches of 2 x 2",
    )


def missing_note(config: Config, own: Config, class_name: str) -> str:
    """Returns what to say where config.json itself has no scaling factor; empty where it has one."""
    if own.get("scaling_factor") is not None or class_name == "AutoencoderKLFlux2":
        return ""
    default = f", {class_name}'s default" if class_name else ""
    return f"config.json has no scaling_factor: {_factor(config):g} is taken{default}"


def batch_norm_epsilon(config: Config) -> float:
    """Returns what a pair adds to the variance of each channel. Raises TrainingError: it is not a number."""
    return _number(config, "batch_norm_eps", 1e-4)


def _factor(config: Config) -> float:
    factor = _number(config, "scaling_factor", 1.0)
    if factor <= 0:
        raise TrainingError(f"config.json: scaling_factor is {factor:g}, must be above 0")
    return factor


def _number(config: Config, key: str, default: float) -> float:
    value = config.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:  # NaN is neither
        raise TrainingError(f"config.json: {key} is {value!r:.40}, must be a number")
    return float(value)


def _vector(config: Config, key: str, channels: int) -> tuple[float, ...] | None:
    value = config.get(key)
    if value is None:
        return None
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != channels:
        raise TrainingError(f"config.json: {key} must hold {channels} numbers, one for each channel of the latent")
    return tuple(_number({key: number}, key, 0.0) for number in value)
