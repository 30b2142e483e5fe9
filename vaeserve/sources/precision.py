"""What float32 loses of a column: rows travel and enter the graphs as such, 24 bits a value.

Unix seconds, for example, lie 128 apart in float32. No shift inside the graphs brings back what the row no longer says.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

LIMIT = 1e15
"""Largest absolute value in a table, for training and serving alike. Anomalies lie outside what was seen, so the range
is wide; but squares of values, and the sum of those over a row, must not leave float32."""

REFUSED = 0.01  # of a column's standard deviation: rounding by more drowns what distinguishes its rows
_TINY = 1e-30  # below it float32 has fewer digits, and at last none
_TOLD = 0.5  # share of the distinct values; if fewer are left, a line says so


class Loss(NamedTuple):
    """What becomes of a column in float32."""

    distinct: int
    """Values that differ."""
    left: int
    """How many of those still do."""
    moved: float
    """How far rounding moves a value, root mean square, as a share of the column's standard deviation."""
    smallest: float
    largest: float

    @property
    def is_severe(self) -> bool:
        """Whether the column is of no use as it is."""
        return self.moved > REFUSED or self.is_tiny

    @property
    def is_tiny(self) -> bool:
        """Whether all values lie so near 0 that a graph cannot scale them: what it divides by leaves float32."""
        return max(-self.smallest, self.largest) < _TINY

    def __str__(self) -> str:
        """Returns "keeps 48 of 200 distinct values in float32, ..." and what to do."""
        if self.is_tiny:
            reach = max(-self.smallest, self.largest)
            return f"holds nothing beyond {reach:.2g}, too small for float32 to scale: multiply it by a constant first"
        return (
            f"keeps {self.left} of {self.distinct} distinct values in float32, which moves them by {self.moved:.2g} "
            f"standard deviations: subtract an offset first, for example its smallest value, {self.smallest:.15g}"
        )


def losses_of(columns: Iterable[npt.NDArray[np.floating]]) -> dict[int, Loss]:
    """Returns what float32 loses of each column, [rows], where that is worth a line."""
    losses = {place: loss_of(column) for place, column in enumerate(columns)}
    return {place: loss for place, loss in losses.items() if loss is not None}


def loss_of(numbers: npt.NDArray[np.floating]) -> Loss | None:
    """Returns what float32 loses of a column, [rows], if that is worth a line; of its numbers within the limit."""
    numbers = numbers[np.abs(numbers) <= LIMIT]
    rounding = numbers.astype(np.float32) - numbers
    if not rounding.any() and not 0 < np.abs(numbers).max(initial=0) < _TINY:
        return None
    smallest = numbers.min()
    deviation = (numbers - smallest).std()
    if not deviation:
        return None
    distinct = np.unique(numbers)
    left = len(np.unique(distinct.astype(np.float32)))
    moved = float(np.sqrt(np.mean(rounding**2)) / deviation)
    loss = Loss(len(distinct), left, moved, float(smallest), float(distinct[-1]))
    return loss if loss.is_severe or left < _TOLD * len(distinct) else None
