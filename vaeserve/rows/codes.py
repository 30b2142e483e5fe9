"""Codes: level numbers of latents whose values have a few levels each, and the latents that they stand for.

Level k of L is the latent value (k - H) / H with H = L // 2: at least -1, at most 1, and 0 is always one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vaeserve.errors import InvalidInput
from vaeserve.package.row_spec import Array, RowSpec, RowType, place
from vaeserve.package.sizes import Axes


@dataclass(frozen=True)
class CodesSpec(RowSpec):
    """One row of codes: uint16, each below its position's number of levels."""

    levels: tuple[int, ...]
    sizes: None = None
    dtype: RowType = "uint16"
    minimum: float = 0
    maximum: float = 65535
    missing_allowed: bool = False

    @property
    def axes(self) -> Axes:
        """One code for each value of a latent."""
        return (len(self.levels),)

    def check(self, rows: Array, field: str) -> None:
        """Checks rows of the right shape and type. Raises InvalidInput, which names the first code that is no level."""
        wrong = rows >= np.array(self.levels)
        if wrong.any():
            index = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
            limit = self.levels[index[1]]
            raise InvalidInput(field, f"{place(rows, index)} must be below {limit}, the number of levels")


def latents_of(codes: Array, levels: Sequence[int]) -> npt.NDArray[np.float32]:
    """Returns the latents [rows, latent], float32, that codes stand for: the bits that the encoder answers."""
    half = np.array([count // 2 for count in levels], np.float32)
    return (codes.astype(np.float32) - half) / half
