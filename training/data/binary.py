"""Grey levels -> black and white: each pixel is white with the probability that its level means."""

import numpy as np
import torch
from torch import Tensor

from training.data.dataset import Dataset
from vaeserve.files import AnyArray
from vaeserve.sources.room import room_for

TEST_SEED, VALIDATION_SEED = 777, 778
PART_ROWS = 4096  # maximum number of rows that are drawn at once


def draw_binary(rows: Tensor, maximum: float, generator: torch.Generator) -> Tensor:
    """Returns rows of 0 and maximum, drawn with probability value / maximum.

    Args:
        rows: uint8 of any shape.
        maximum: the value of probability 1, a whole number from 1 to 255.
        generator: on the rows' device.
    """
    # v of the `maximum` possible levels lie below a value v: the probability is exact, without rounding.
    levels = torch.randint(0, int(maximum), rows.shape, dtype=rows.dtype, device=rows.device, generator=generator)
    return (levels < rows).to(rows.dtype).mul_(int(maximum))


def draw_once(rows: AnyArray, maximum: float, seed: int) -> AnyArray:
    """Returns rows of 0 and maximum, drawn as above; the same rows and seed always give the same result."""
    drawn = room_for(rows.shape, rows.dtype, "--binarised")
    stream = np.random.RandomState(seed)  # NumPy promises never to change its stream
    for place, row in enumerate(rows):
        drawn[place] = (stream.random_sample(row.shape) < row / maximum) * int(maximum)
    return drawn


def training_rows(dataset: Dataset) -> Tensor:
    """Returns the training rows; where data is binarised, drawn once as held-out rows are, the same at every call."""
    if not dataset.binarised:
        return dataset.train
    generator, maximum = torch.Generator().manual_seed(0), dataset.spec.maximum
    drawn = torch.from_numpy(room_for(tuple(dataset.train.shape), np.uint8, "--binarised"))
    for rows, part in zip(torch.split(drawn, PART_ROWS), torch.split(dataset.train, PART_ROWS), strict=True):
        rows.copy_(draw_binary(part, maximum, generator))
    return drawn
