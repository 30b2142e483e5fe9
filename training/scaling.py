"""Scaling: data <-> values of about one, on which networks work. It is part of the graphs."""

from typing import NamedTuple

import torch
from torch import Tensor

from vaeserve.package.data_spec import DataSpec


class Scaling(NamedTuple):
    """scaled = (data - center) / scale; scalars for images, one value a column for tables."""

    center: Tensor
    scale: Tensor


def scaling_of(data: DataSpec, train: Tensor, family: str) -> Scaling:
    """Returns how rows are scaled: images to [-1, 1], on-off values to [0, 1], columns to mean 0, variance 1.

    Args:
        data: what a row is.
        train: the rows, [rows, *data.shape], from which a table's columns take mean and standard deviation.
        family: the likelihood's; with "bernoulli" values are scaled to [0, 1] (see docs/reproductions.md).
    """
    if family == "bernoulli":
        return Scaling(torch.tensor(0.0), torch.tensor(float(data.maximum)))
    if data.kind == "table":
        rows = train.double()
        return Scaling(
            rows.mean(0).float(), rows.std(0, correction=0).clamp_min(torch.finfo(torch.float32).tiny).float()
        )
    half_range = (data.maximum - data.minimum) / 2
    return Scaling(torch.tensor(data.minimum + half_range), torch.tensor(half_range))


def flat(values: Tensor) -> Tensor:
    """Returns images as flat rows, on which ONNX Runtime broadcasts a number 50 times faster than on grey images.

    It walks a last axis of size 1 one value at a time (`benchmarks/trailing_axis.py`).
    """
    return values.flatten(1) if values.ndim > 2 else values


def scaled(data: Tensor, center: Tensor, scale: Tensor) -> Tensor:
    """Returns data, one row or a batch of them, as values of about one."""
    return ((flat(data.float()) - center) / scale).reshape(data.shape)


def smooth_clamp(values: Tensor, low: float, high: float) -> Tensor:
    """Returns values squeezed into (low, high) by a hyperbolic tangent, so that there is a gradient everywhere."""
    middle, half = (high + low) / 2, (high - low) / 2
    return middle + half * torch.tanh((values - middle) / half)


def unclamped(values: Tensor, low: float, high: float) -> Tensor:
    """Returns what `smooth_clamp` squeezes to these values; for one outside of the range, to one just within."""
    middle, half = (high + low) / 2, (high - low) / 2
    return middle + half * torch.atanh(((values - middle) / half).clamp(-0.99, 0.99))


def as_data(expectation: Tensor, data: DataSpec) -> Tensor:
    """Returns an expectation as data: rounded, for whole numbers, and within the range.

    Both happen in float, because runtimes differ in how they cast a value outside 0..255 to uint8.
    """
    if data.dtype == "float32":
        return expectation.clamp(data.minimum, data.maximum)
    return expectation.round().clamp(data.minimum, data.maximum).to(torch.uint8)
