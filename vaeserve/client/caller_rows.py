"""A caller's arrays, tensors, masked arrays, data frames and pictures -> rows of numbers.

Objects of other libraries are recognised by their methods, so that none of those libraries is imported. What cannot be
read without a loss is refused in one line.
"""

import io
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vaeserve.errors import InvalidInput, innermost
from vaeserve.package.row_spec import Array

_ORIENTATION, _TURNED = 0x0112, range(2, 9)  # EXIF's tag, and all its values except upright
_WIDENED = ("bfloat16", "float8")  # of ml_dtypes, which JAX and TensorFlow use; float32 holds all of them exactly


@dataclass(frozen=True)
class Frame:
    """A data frame: rows of named columns."""

    field: str
    columns: tuple[str, ...]
    values: Mapping[str, object]
    """The values of each column."""

    def __len__(self) -> int:
        return len(self.values[self.columns[0]])  # type: ignore[arg-type]  # every frame's columns have a length

    def rows(self, names: Sequence[str]) -> Array:
        """Returns the columns that a model names, in the model's order; all columns if it names none.

        Raises:
            InvalidInput: a column that the model takes is missing, occurs twice, or does not hold numbers.
        """
        counts = Counter(self.columns)
        return np.stack([self._column(name, counts[name]) for name in names or self.columns], axis=1)

    def _column(self, name: str, count: int) -> Array:
        if not count:
            listed = ", ".join(map(repr, self.columns[:8])) + ", ..." * (len(self.columns) > 8)
            raise InvalidInput(self.field, f"has no column {name!r}, which the model takes; it has {listed}")
        if count > 1:
            raise InvalidInput(self.field, f"has {count} columns {name!r}")
        return as_rows(self.values[name], f"{self.field}[{name!r}]")


def as_frame(values: Any, field: str) -> Frame | None:  # noqa: ANN401, it may be anything
    """Returns a data frame of pandas, Polars, PyArrow or a similar library; None if the values are not one.

    A frame whose columns have numbers, not names, counts as an array.
    """
    names = getattr(values, "column_names", None)
    names = getattr(values, "columns", None) if names is None else names
    if names is None or not hasattr(values, "__getitem__"):
        return None
    try:
        columns = tuple(names)
        if not columns or not all(isinstance(name, str) for name in columns):
            return None
        return Frame(field, columns, {name: values[name] for name in columns})
    except Exception as exc:  # nobody lists what other libraries raise
        raise InvalidInput(field, f"is not a frame of rows: {innermost(exc)}") from exc


def as_pictures(values: object, field: str) -> list[bytes] | None:
    """Returns Pillow images as PNG files, which are lossless; None if the values are not Pillow images.

    Raises:
        InvalidInput: PNG cannot hold an image, or its EXIF data says that it still has to be turned.
    """
    pillow: Any = sys.modules.get("PIL.Image")
    if pillow is None:
        return None
    if isinstance(values, pillow.Image):
        raise InvalidInput(field, "is a single image, must be a sequence of them")
    if not isinstance(values, Sequence) or not values or not all(isinstance(one, pillow.Image) for one in values):
        return None
    return [_png(picture, f"{field}[{row}]") for row, picture in enumerate(values)]


def as_rows(values: Any, field: str) -> Array:  # noqa: ANN401
    """Returns a user's values as rows of numbers, which `RowSpec.fit` then fits to a model.

    Raises:
        InvalidInput: the values are not numbers, or there are no rows.
    """
    frame = as_frame(values, field)
    array = _filled(_array(values, field), field) if frame is None else frame.rows(())
    if array.dtype.name.startswith(_WIDENED):
        array = array.astype(np.float32)
    if array.ndim == 0:
        what = "a single number" if array.dtype.kind in "biuf" else type(values).__name__
        raise InvalidInput(field, f"is {what}, must be an array of rows")
    if array.dtype.kind not in "biuf":
        raise InvalidInput(field, f"holds {array.dtype}, must hold numbers")
    if len(array) == 0:
        raise InvalidInput(field, "has no rows, must have at least 1")
    return array


def _array(values: object, field: str) -> npt.NDArray[Any]:
    try:
        return np.asanyarray(_on_host(values))
    except Exception as exc:  # nobody lists what other libraries raise
        if isinstance(exc, ValueError) and isinstance(values, list | tuple):
            raise InvalidInput(field, "is not an array: its rows differ in length") from exc
        raise InvalidInput(field, f"is not an array: {innermost(exc)}") from exc


def _on_host(values: Any) -> Any:  # noqa: ANN401
    """Returns what NumPy can read: tensors on the host without gradient, columns with NaN in place of pandas' NA."""
    if isinstance(values, list | tuple):
        if any(isinstance(one, np.ma.MaskedArray) for one in values):
            return np.ma.stack(values)
        return [_on_host(one) for one in values] if any(hasattr(one, "detach") for one in values) else values
    if hasattr(values, "detach"):
        tensor = values.detach().cpu()
        return tensor.float() if str(tensor.dtype).removeprefix("torch.").startswith(_WIDENED) else tensor
    if hasattr(getattr(values, "dtype", None), "na_value") and values.dtype.kind in "iuf":
        return values.to_numpy(dtype="float64", na_value=np.nan) if values.hasnans else values
    return values


def _filled(array: npt.NDArray[Any], field: str) -> Array:
    """Returns a plain array. Masked values are missing values; floating-point rows hold NaN for them."""
    if not isinstance(array, np.ma.MaskedArray):
        return np.asarray(array)
    if not np.ma.is_masked(array):
        return array.data
    if array.dtype.kind != "f":
        raise InvalidInput(field, f"has masked values; {array.dtype} rows cannot have missing values")
    filled: Array = array.filled(np.nan)
    return filled


def _png(picture: Any, field: str) -> bytes:  # noqa: ANN401, Pillow is not imported here
    if (
        picture.getexif().get(_ORIENTATION, 1) in _TURNED
    ):  # reading its file would turn it, and it may have been turned before
        raise InvalidInput(field, "has an EXIF orientation: turn it with PIL.ImageOps.exif_transpose first")
    file = io.BytesIO()
    try:
        picture.save(file, "PNG", compress_level=1, icc_profile=None)
    except OSError as exc:
        raise InvalidInput(field, f"has colours of mode {picture.mode}, must have grey, RGB or RGBA") from exc
    return file.getvalue()
