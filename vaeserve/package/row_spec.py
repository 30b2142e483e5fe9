"""RowSpec: one row of a tensor, or rows of many sizes: their bytes, blank rows, and whether an array fits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import inf, prod
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import numpy.typing as npt

from vaeserve.errors import InvalidInput
from vaeserve.package.sizes import Axes, Axis, PictureSize, PictureSizes, axis_length, size_of_axes

Array = npt.NDArray[np.number]
"""uint8, uint16, float32 or float16."""
RowType = Literal["uint8", "uint16", "float32"]


class RowSpec:
    """One row of data or of latents.

    Where `sizes` is None every row is alike. Otherwise height and width are free: `at` returns what a row of one size
    is, and everything that needs a shape is asked of that.
    """

    if TYPE_CHECKING:  # pydantic would make fields of them
        dtype: RowType
        minimum: float
        maximum: float
        missing_allowed: bool

        @property
        def axes(self) -> Axes:
            """Length of each axis of a row, or which side of the picture it follows."""

        @property
        def sizes(self) -> PictureSizes | None:
            """The sizes that rows may have; None: every row has the same shape."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a row.

        Raises:
            ValueError: rows have many sizes, and so no shape of their own; `axes` and `at(size).shape` are for them.
        """
        if self.sizes is not None:
            raise ValueError("rows have many sizes, and so no shape of their own: use axes, or at(size).shape")
        return self.axes  # type: ignore[return-value]  # only rows of free sizes have named axes

    @property
    def value_count(self) -> int:
        """Number of values in one row."""
        return prod(self.shape)

    def at(self, size: tuple[int, int] | None) -> Self:
        """Returns what a row of one size is; this itself where every row has the same shape.

        Args:
            size: height and width of the pictures; None where they are not free.
        """
        if size is None:
            return self
        return self._of_shape(tuple(axis_length(axis, PictureSize(*size)) for axis in self.axes))

    def size_of(self, shape: Sequence[int]) -> PictureSize | None:
        """Returns the size of pictures whose rows have a shape; None if no rows have it, or the size is not free."""
        if self.sizes is None:
            return None
        size = size_of_axes(self.axes, tuple(shape))
        return size if size is not None and self.sizes.takes(size) else None

    def weight(self, size: PictureSize | None) -> int:
        """Returns how many rows a row of this size counts as: 1 where every row has the same shape."""
        return 1 if size is None or self.sizes is None else self.sizes.weight(size)

    @property
    def smallest(self) -> Self:
        """What a row of the smallest size is; this itself where every row has the same shape."""
        return self if self.sizes is None else self.at(self.sizes.smallest)

    def bytes_of(self, rows: int, dtype: str | None = None) -> int:
        """Returns how many bytes rows take, in their own element type or in another."""
        return rows * self.value_count * _item_bytes(dtype or self.dtype)

    def blank(self, rows: int) -> Array:
        """Returns rows of zeros, or of the nearest value allowed: at the ends of a wide range a graph may overflow."""
        return np.full((rows, *self.shape), min(max(0.0, self.minimum), self.maximum), self.dtype)

    def expected(self) -> str:
        """Returns the shape of an array of rows, in words."""
        listed = f"[rows, {', '.join(map(str, self.axes))}]"
        return listed if self.sizes is None else f"{listed} with height and width {self.sizes.rule}"

    def fit(self, array: Array, field: str) -> Array:
        """Returns a user's rows as the model takes them, [rows, *shape] of `dtype`.

        Float16 stays float16 where float32 is taken, because it is half as long on the wire and loses nothing.

        Args:
            array: any numbers.
            field: what to call them in an error.

        Raises:
            InvalidInput: another shape, a value that the type cannot hold or that is not allowed.
        """
        if array.shape[1:] != self.axes and self.size_of(array.shape[1:]) is None:
            shape = brief(array.shape)
            if array.shape == self.axes or self.size_of(array.shape) is not None:
                raise InvalidInput(
                    field, f"is a single row of shape {shape}, must be {self.expected()}: add a first axis"
                )
            raise InvalidInput(field, f"has shape {shape}, must be {self.expected()}")
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

    def _of_shape(self, shape: tuple[int, ...]) -> Self:
        """Returns this for rows of one shape."""
        raise NotImplementedError


@dataclass(frozen=True)
class LatentSpec(RowSpec):
    """One row's latent: finite float32. Its axes follow those of the data where the size is free."""

    axes: Axes
    sizes: PictureSizes | None = None
    dtype: RowType = "float32"
    minimum: float = -inf
    maximum: float = inf
    missing_allowed: bool = False

    def _of_shape(self, shape: tuple[int, ...]) -> Self:
        return replace(self, axes=shape, sizes=None)


def brief(shape: Sequence[Axis]) -> str:
    """Returns a shape as text, shortened because a message may hold a million axes."""
    listed = ", ".join(map(str, shape[:8]))
    return f"[{listed}]" if len(shape) <= 8 else f"[{listed}, ... {len(shape)} axes]"


def place(rows: Array, index: Sequence[np.intp]) -> str:
    """Returns a value and its position as text."""
    return f"{rows[tuple(index)]} in row {index[0]} at [{', '.join(map(str, index[1:]))}]"


@cache
def _item_bytes(dtype: str) -> int:
    return np.dtype(dtype).itemsize


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
