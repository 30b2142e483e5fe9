"""RowSpec: one row of a tensor: its bytes, blank rows, and whether an array fits."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, prod
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from vaeserve.errors import InvalidInput

Array = npt.NDArray[np.number]
"""uint8, float32 or float16."""
RowType = Literal["uint8", "float32"]


class RowSpec:
    """One row of data or of latents. Every row of a tensor is alike."""

    if TYPE_CHECKING:  # pydantic would make fields of them
        dtype: RowType
        shape: tuple[int, ...]
        minimum: float
        maximum: float
        missing_allowed: bool

    @property
    def size(self) -> int:
        """Number of values in one row."""
        return prod(self.shape)

    def bytes_of(self, rows: int, dtype: str | None = None) -> int:
        """Returns how many bytes rows take, in their own element type or in another."""
        return rows * self.size * np.dtype(dtype or self.dtype).itemsize

    def blank(self, rows: int) -> Array:
        """Returns rows of zeros, or of the nearest value allowed: at the ends of a wide range a graph may overflow."""
        return np.full((rows, *self.shape), min(max(0.0, self.minimum), self.maximum), self.dtype)

    def fit(self, array: Array, field: str) -> Array:
        """Returns a user's rows as the model takes them, [rows, *shape] of `dtype`.

        Float16 stays float16 where float32 is taken, because it is half as long on the wire and loses nothing.

        Args:
            array: any numbers.
            field: what to call them in an error.

        Raises:
            InvalidInput: another shape, a value that the type cannot hold or that is not allowed.
        """
        expected = f"[rows, {', '.join(map(str, self.shape))}]"
        if array.shape == tuple(self.shape):
            shape = brief(array.shape)
            raise InvalidInput(field, f"is a single row of shape {shape}, must be {expected}: add a first axis")
        if array.shape[1:] != tuple(self.shape):
            raise InvalidInput(field, f"has shape {brief(array.shape)}, must be {expected}")
        rows = _convert(array, field, np.dtype(self.dtype))
        self.check(rows, field)
        return array if (array.dtype.name, rows.dtype.name) == ("float16", "float32") else rows

    def check(self, rows: Array, field: str) -> None:
        """Checks the values of rows that have the right shape and type.

        Raises:
            InvalidInput: one lies outside the range, is NaN where none may be missing, or is infinite.
        """
        if self.minimum == -inf and self.maximum == inf:
            return _refuse(rows, np.isfinite(rows), field, "must be finite")
        if self.dtype == "uint8" and self.minimum <= 0 and self.maximum >= 255:
            return
        inside = (rows >= self.minimum) & (rows <= self.maximum)
        if self.missing_allowed:
            inside |= np.isnan(rows)
        _refuse(rows, inside, field, f"must lie in [{self.minimum:g}, {self.maximum:g}]")


@dataclass(frozen=True)
class LatentSpec(RowSpec):
    """One row's latent: finite float32."""

    shape: tuple[int, ...]
    dtype: RowType = "float32"
    minimum: float = -inf
    maximum: float = inf
    missing_allowed: bool = False


def brief(shape: Sequence[int]) -> str:
    """Returns a shape as text, shortened because a message may hold a million axes."""
    listed = ", ".join(map(str, shape[:8]))
    return f"[{listed}]" if len(shape) <= 8 else f"[{listed}, ... {len(shape)} axes]"


def place(rows: Array, index: Sequence[np.intp]) -> str:
    """Returns a value and its position as text."""
    return f"{rows[tuple(index)]} in row {index[0]} at [{', '.join(map(str, index[1:]))}]"


def _convert(array: Array, field: str, dtype: np.dtype[np.number]) -> Array:
    """Returns values in another element type, where that loses nothing but float32's rounding."""
    if array.dtype == dtype:
        return array
    with np.errstate(all="ignore"):  # the comparison finds what overflows
        converted = array.astype(dtype)
        if dtype.kind == "f" and array.dtype.kind == "f":
            is_exact = np.isfinite(converted) | ~np.isfinite(array)
        else:
            is_exact = converted.astype(array.dtype) == array
            if dtype.kind == "f":  # an integer past float32's range of exact ones may wrap back to itself
                is_exact &= np.abs(converted) < 2.0**63
    _refuse(array, is_exact, field, f"cannot be converted to {dtype.name} without loss")
    return converted


def _refuse(rows: Array, allowed: npt.NDArray[np.bool_], field: str, rule: str) -> None:
    if not allowed.all():
        index = np.unravel_index(int(np.argmin(allowed)), allowed.shape)
        raise InvalidInput(field, f"{place(rows, index)} {rule}")
