"""Codes: level numbers of latents whose values have a few levels each, and the latents that they stand for.

Level k of L is the latent value (k - H) / H with H = L // 2: at least -1, at most 1, and 0 is always one.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vaeserve.errors import InvalidInput
from vaeserve.package.row_spec import Array, place


def check_codes(codes: Array, levels: Sequence[int], field: str) -> None:
    """Refuses codes [rows, latent] that stand for no level.

    Raises:
        InvalidInput: named by `field`; a code is not below its position's number of levels.
    """
    limits = np.array(levels)
    if (codes >= limits).any():
        index = np.unravel_index(int(np.argmax(codes >= limits)), codes.shape)
        raise InvalidInput(field, f"{place(codes, index)} must be below {limits[index[1]]}, the number of levels there")


def latents_of(codes: Array, levels: Sequence[int]) -> npt.NDArray[np.float32]:
    """Returns the latents [rows, latent], float32, that codes stand for: the bits that the encoder answers."""
    half = np.array([count // 2 for count in levels], np.float32)
    return (codes.astype(np.float32) - half) / half
