"""Arrays of pictures that are not uint8, or whose channels come first -> rows of uint8.

Training looks at all values to tell which one is white, and says so. What it found is recorded, so that files of arrays
that are encoded later become rows in the same way.
"""

from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from vaeserve.errors import InvalidInput
from vaeserve.files import AnyArray
from vaeserve.package.data_spec import ArrayFit, DataSpec
from vaeserve.sources.bits import white_of
from vaeserve.sources.room import room_for

LEVELS = 255
CHANNELS = (1, 3, 4)
_AS_IT_IS = (np.dtype(np.uint8), np.dtype(np.bool_))
_PART_VALUES = 2**22  # looked at together, as doubles
_TINY = 1e-3  # of a level: what float32 loses of v / 255


class Evidence(NamedTuple):
    """What arrays of images show about how they become rows."""

    fit: ArrayFit | None
    """None: they are rows as they are."""
    maximum: int
    """Of the rows: 255, or 1 where all values are 0 or 1."""
    notes: tuple[str, ...] = ()


class _Values(NamedTuple):
    """What the values of arrays have in common."""

    maximum: float
    are_binary: bool
    distance: float
    """Root mean square from the values to the nearest of the 256 levels, in levels."""


def is_first(shape: Sequence[int]) -> bool:
    """Whether [rows, ...] are images whose channels come before height and width, and cannot come after."""
    return len(shape) == 4 and shape[1] in CHANNELS and shape[3] not in CHANNELS


def is_unclear(shape: Sequence[int]) -> bool:
    """Whether [rows, ...] are images whose channels may come first as well as last; a last axis of 1 has channels."""
    return len(shape) == 4 and shape[1] in CHANNELS and shape[3] in CHANNELS[1:]


def channels_last(array: AnyArray) -> AnyArray:
    """Returns images [rows, height, width, channels], without a copy."""
    if array.ndim == 3:
        return array[..., np.newaxis]
    return np.moveaxis(array, 1, 3) if is_first(array.shape) else array


def evidence_of(arrays: Sequence[AnyArray], name: str) -> Evidence:
    """Returns what arrays of images, all of one file, show about how they become rows.

    Raises:
        InvalidInput: named by `name`; a value is not that of a picture. The message names its row.
    """
    first, kinds = any(is_first(array.shape) for array in arrays), {array.dtype for array in arrays}
    notes = _about_channels(arrays[0].shape, name)
    values = _values_of(arrays, name)
    if kinds <= {*_AS_IT_IS}:
        maximum = 1 if values.are_binary else LEVELS
        return Evidence(ArrayFit(channels_first=True) if first else None, maximum, tuple(notes))
    if len(kinds) > 1:
        raise InvalidInput(name, f"its arrays differ in type: {' and '.join(sorted(map(str, kinds)))}")
    (kind,) = kinds
    white, about = (_white_of_floats if kind.kind == "f" else _white_of_whole)(values)
    maximum = 1 if values.are_binary else LEVELS
    notes.append(f"{name}: {kind} up to {values.maximum:g}, {about}")
    return Evidence(ArrayFit(white=white, channels_first=first), maximum, tuple(notes))


def fit_array(array: AnyArray, spec: DataSpec, name: str) -> AnyArray:
    """Returns the array of a file as rows of an image model, made as training made them; of other models, as it is.

    Raises:
        InvalidInput: named by `name`; a value lies outside what training took.
    """
    if spec.kind != "image" or spec.sizes is not None:
        return array
    fit, (height, width, channels) = spec.array_fit, spec.shape
    if channels == 1 and array.shape[1:] == (height, width):
        array = array[..., np.newaxis]
    if fit is None:
        return array
    if fit.channels_first and array.shape[1:] == (channels, height, width):
        array = np.moveaxis(array, 1, 3)
    if fit.white is None or array.dtype in _AS_IT_IS or array.dtype.kind not in "iuf":
        return array
    levels = room_for(array.shape, np.uint8, name)
    for part in parts_of(array):
        _refuse_outside(array[part], fit.white, name, part.start)
        levels[part] = to_levels(array[part], fit.white, int(spec.maximum))
    return levels


def to_levels(array: AnyArray, white: float, maximum: int) -> AnyArray:
    """Returns values from 0 to `white` as uint8 from 0 to `maximum`, rounded to the nearest."""
    if array.dtype in _AS_IT_IS:
        return array.astype(np.uint8, copy=False)  # of bool 0 and 1, also where a file holds other bytes
    shares = array.astype(np.float64)
    shares *= maximum
    shares /= white
    levels: AnyArray = np.rint(shares, out=shares).astype(np.uint8)
    return levels


def parts_of(array: AnyArray) -> Iterator[slice]:
    """Yields slices of rows that are looked at together."""
    step = max(1, _PART_VALUES // prod(array.shape[1:]))
    for start in range(0, len(array), step):
        yield slice(start, start + step)


def _about_channels(shape: Sequence[int], name: str) -> list[str]:
    """Returns a line about channels that come first, or may."""
    row, size = list(shape[1:]), " x ".join(map(str, shape[2:0:-1]))
    if is_first(shape):
        return [f"{name}: its channels come first, {row}: moved behind height and width"]
    if not is_unclear(shape):
        return []
    return [
        f"{name}: its channels may come first or last, {row}: taken as last, so pictures are {size} pixels; if they "
        "come first, save numpy.moveaxis(array, 1, 3)"
    ]


def _values_of(arrays: Sequence[AnyArray], name: str) -> _Values:
    maximum, are_binary, first = 0.0, True, 0
    squares = {1.0: 0.0, 255.0: 0.0}  # by the white that the values may have
    for array in arrays:
        for part in parts_of(array):
            values = array[part]
            _refuse_outside(values, np.inf, name, first + part.start)
            maximum = max(maximum, float(values.max()))
            are_binary = are_binary and bool(((values == 0) | (values == 1)).all())
            for white in squares if array.dtype.kind == "f" else ():
                levels = values.astype(np.float64) * (LEVELS / white)
                squares[white] += float(((levels - np.rint(levels)) ** 2).sum())
        first += len(array)
    count = sum(array.size for array in arrays)
    return _Values(maximum, are_binary, (squares[1.0 if maximum <= 1 else 255.0] / count) ** 0.5)


def _white_of_floats(values: _Values) -> tuple[float, str]:
    white = 1.0 if values.maximum <= 1 else 255.0
    if values.are_binary:
        return white, "all 0 or 1: taken as pixels that are off or on"
    if values.distance < _TINY:
        return white, f"all of them levels of 256: {white:g} is white, and nothing is lost"
    return white, f"{white:g} is white; rounded to 256 levels, by {values.distance:.2g} of a level (root mean square)"


def _white_of_whole(values: _Values) -> tuple[float, str]:
    if values.are_binary:
        return 1.0, "all 0 or 1: taken as pixels that are off or on"
    white = white_of(int(values.maximum))
    if white == LEVELS:
        return white, "taken as the 256 levels"
    return white, f"taken as {white.bit_length()} bits: {white} is white, and the upper 8 bits are kept, rounded"


def _refuse_outside(values: AnyArray, white: float, name: str, first: int = 0) -> None:
    if values.dtype in _AS_IT_IS:
        return
    limit = min(white, 255.0 if values.dtype.kind == "f" else 65535.0)
    inside = (values >= 0) & (values <= limit)  # False for NaN
    if inside.all():
        return
    index = np.unravel_index(int(np.argmin(inside)), inside.shape)
    if white < np.inf:
        rule = f"[0, {white:g}], as in the arrays that the model was trained on"
    else:
        rule = "[0, 1] or [0, 255]" if values.dtype.kind == "f" else "[0, 65535]"
    at = f"in row {first + int(index[0])} at [{', '.join(map(str, index[1:]))}]"
    raise InvalidInput(name, f"{values[index]:g} {at}: {values.dtype} pictures must lie in {rule}")
