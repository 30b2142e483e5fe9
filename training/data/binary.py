"""Grey levels -> black and white: each pixel is white with the probability that its level stands for."""

import numpy as np
import torch
from torch import Tensor

from training.data.dataset import Dataset
from vaeserve.files import AnyArray

TEST_SEED, VALIDATION_SEED = 777, 778


def draw_binary(rows: Tensor, maximum: float, generator: torch.Generator) -> Tensor:
    """Returns rows of 0 and maximum, drawn with probability value / maximum.

    Args:
        rows: uint8 of any shape.
        maximum: what a value of probability one is, a whole number from 1 to 255.
        generator: on the rows' device.
    """
    # Below a value v lie v of the `maximum` levels that can be drawn: the probability is exact, and nothing is rounded.
    levels = torch.randint(0, int(maximum), rows.shape, dtype=rows.dtype, device=rows.device, generator=generator)
    return (levels < rows).to(rows.dtype).mul_(int(maximum))


def draw_once(rows: AnyArray, maximum: float, seed: int) -> AnyArray:
    """Returns rows of 0 and maximum, drawn as above; the same rows and seed give the same ones everywhere, for ever."""
    drawn = np.empty_like(rows)
    stream = np.random.RandomState(seed)  # whose stream NumPy has promised never to change
    for place, row in enumerate(rows):
        drawn[place] = (stream.random_sample(row.shape) < row / maximum) * int(maximum)
    return drawn


def training_rows(dataset: Dataset) -> Tensor:
    """Returns the training rows as held-out ones are: drawn once, the same at every call, where data is binarised."""
    if not dataset.binarised:
        return dataset.train
    return draw_binary(dataset.train, dataset.spec.maximum, torch.Generator().manual_seed(0))
