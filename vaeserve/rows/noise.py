"""Row-addressed noise: (purpose, seed, row) -> standard normals, the same bits everywhere.

The noise of a row depends on its address and on how many values a row takes, on nothing else: not on the batch it runs
in, how the call was split, the process or the machine. docs/noise.md writes the algorithm down for other languages.

Uniforms come from Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), whose stream
NumPy guarantees. Normals come from them by the inverse of the normal distribution function: algorithm AS 241, PPND16
(Wichura, Applied Statistics 37, 1988), in float64 with additions, multiplications, divisions and square roots alone.
IEEE 754 rounds each of those exactly, so the bits depend on no mathematics library.
"""

import threading
from collections.abc import Sequence
from enum import IntEnum
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vaeserve.rows.quantiles import inverse_normal, inverse_normal_of_one

ALGORITHM = "philox4x64-10/as241/1"
ROW_LIMIT = 2**63  # rows are numbered 0 to ROW_LIMIT - 1
HIGHEST_TEMPERATURE = 1e6  # factor on prior noise: far past any use, and short of any overflow
_WORD_MASK = 2**64 - 1
_WORDS = 4  # 64-bit words in a block of Philox4x64

_FEW = 32  # maximum number of values that are transformed one by one, which is faster: see quantiles


class Purpose(IntEnum):
    """What the noise is for; the same seed gives unrelated noise for each."""

    PRIOR = 1
    POSTERIOR = 2


class RowRange(NamedTuple):
    """Addresses of consecutive rows."""

    seed: int
    """In [0, 2^64 - 1]."""
    first_row: int
    """In [0, 2^63 - rows]."""
    rows: int


def standard_normals(purpose: Purpose, ranges: Sequence[RowRange], size: int) -> npt.NDArray[np.float32]:
    """Returns the noise of every row of every range, in order.

    Args:
        purpose: what the noise is for.
        ranges: addresses of the rows; all share one generator and one transformation.
        size: values a row takes, 1 or more.

    Returns:
        float32 [sum of rows, size].
    """
    words = [_words(addresses, purpose, size) for addresses in ranges]
    rows = sum(addresses.rows for addresses in ranges)
    if rows * size <= _FEW:
        few = [
            inverse_normal_of_one(((word >> 12) + 0.5) * 2.0**-52) for part in words for word in part.ravel().tolist()
        ]
        return np.array(few, np.float32).reshape(rows, size)
    numbers = words[0] if len(words) == 1 else np.concatenate(words)
    uniforms = ((numbers >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52  # in (0, 1), symmetric about 1/2
    return inverse_normal(uniforms).astype(np.float32)


class _ThreadPhilox(threading.local):
    """A generator for each thread, because making one takes longer than setting its counter."""

    def __init__(self) -> None:
        self._philox = np.random.Philox(key=0)
        self._state = self._philox.state
        self._state["buffer_pos"] = _WORDS  # used up: the next word comes from the next block
        self._counter, self._key = self._state["state"]["counter"], self._state["state"]["key"]

    def words(self, counter: int, key: tuple[int, int], count: int) -> npt.NDArray[np.uint64]:
        """Returns the words that come after the block of that number."""
        self._counter[0], self._counter[1] = counter & _WORD_MASK, counter >> 64
        self._key[0], self._key[1] = key
        self._philox.state = self._state
        return self._philox.random_raw(count)


@cache
def _philox() -> _ThreadPhilox:
    """Returns the generators. The first makes NumPy import `numpy.random`, which clients do without."""
    return _ThreadPhilox()


def _words(addresses: RowRange, purpose: Purpose, size: int) -> npt.NDArray[np.uint64]:
    """Returns random words [rows, size]. A row starts on a block of its own, so rows can be reached one by one."""
    blocks = -(-size // _WORDS)
    count = addresses.rows * blocks * _WORDS
    words = _philox().words(addresses.first_row * blocks, (addresses.seed, purpose), count)
    return words.reshape(addresses.rows, blocks * _WORDS)[:, :size]
