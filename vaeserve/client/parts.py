"""Parts: a caller's rows, split so that each request fits the server's limits and its answer meets the deadline."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt

from vaeserve.client.caller_rows import Frame, as_frame, as_pictures, as_rows
from vaeserve.client.description import Limits, Model
from vaeserve.client.picture_sizes import size_of_data
from vaeserve.errors import InvalidInput
from vaeserve.package.row_spec import Array, brief
from vaeserve.package.sizes import PictureSize
from vaeserve.rows.image_checks import check_image, takes_images
from vaeserve.rows.size_fit import SizeFit
from vaeserve.rows.tensors import to_message
from vaeserve.slices import rows_that_fit
from vaeserve.v1 import vae_pb2 as pb

_PART_OVERHEAD = 128  # bytes; an upper bound for the tags, lengths, shape and row number around a part's elements
_IMAGE_OVERHEAD = 6  # bytes; an upper bound for an image's tag and length

MostRows = Callable[[int], int]
"""Returns how many of the remaining rows the next part may hold, according to the time that rows take.

Where sizes are free, both numbers count rows of the smallest size.
"""


class DataPart(TypedDict, total=False):
    """Some rows of data, by the field of a request's oneof that holds them."""

    data: pb.Tensor
    images: pb.EncodedImages


CallerRows = Array | Frame | list[bytes]
"""Rows of data: an array, a data frame, or encoded images."""


def as_data(values: npt.ArrayLike, field: str) -> CallerRows:
    """Returns a user's rows of data: encoded images if every row is bytes or a Pillow image.

    Raises:
        InvalidInput: the values are not rows of numbers or images, or there are no rows.
    """
    if isinstance(values, bytes):
        raise InvalidInput(field, "is a single image, must be a sequence of them")
    listed = values.tolist() if isinstance(values, np.ndarray) and values.dtype == object else values
    if isinstance(listed, list | tuple):
        images = [image for image in listed if isinstance(image, bytes)]
        if images and len(images) == len(listed):
            return images
    for read in (as_pictures, as_frame):
        rows = read(listed, field)
        if rows is not None:
            return rows
    return as_rows(values, field)


def ranges(rows: int, fitting: Callable[[int], int], most_rows: MostRows, weight: int = 1) -> Iterator[tuple[int, int]]:
    """Yields where parts begin and end, one at a time, so that each answer can set the size of the next part.

    Args:
        rows: number of rows in all parts together.
        fitting: returns the last possible end of a part that begins at a row, within the server's limits.
        most_rows: how many rows the time allows.
        weight: how many rows each counts as.
    """
    start = 0
    while start < rows:
        in_time = most_rows((rows - start) * weight) // weight
        stop = min(fitting(start), start + max(1, in_time))
        yield start, stop
        start = stop


def bounds_of(rows: int, model: Model, size: PictureSize | None, most_rows: MostRows) -> Iterator[tuple[int, int]]:
    """Yields where parts of rows begin and end that are sampled, and so take no bytes of a request."""
    weight = model.data.weight(size)
    step = rows_that_fit(model.limits.call_rows, weight)
    return ranges(rows, lambda start: min(start + step, rows), most_rows, weight)


def split_data(
    rows: CallerRows, field: str, model: Model, bare_bytes: int, most_rows: MostRows, *, fit: SizeFit = "exact"
) -> Iterator[tuple[int, DataPart]]:
    """Returns the parts of rows of data, each with its offset.

    Args:
        rows: what to split.
        field: name of the rows in an error.
        model: the model, with the server's limits.
        bare_bytes: size of a request without rows, in bytes.
        most_rows: how many rows the time allows.
        fit: how images are brought to a size that the model takes, if it takes many.

    Raises:
        InvalidInput: a row does not fit the model, or is too large for a request.
    """
    size = size_of_data(rows, field, fit, model)
    if isinstance(rows, list):
        return _split_images(_CallerImages(rows, field, fit, size), model, bare_bytes, most_rows)
    numbers = rows.rows(model.data.columns) if isinstance(rows, Frame) else rows
    fitting, weight = model.data.fit(numbers, field), model.data.weight(size)
    parts = split(fitting, field, model.limits, bare_bytes, most_rows, weight=weight)
    return ((offset, {"data": part}) for offset, part in parts)


def split(
    rows: Array, field: str, limits: Limits, bare_bytes: int, most_rows: MostRows, *, weight: int = 1
) -> Iterator[tuple[int, pb.Tensor]]:
    """Returns the parts of an array, each with its offset, as `split_data` does. Each row counts as `weight` rows."""
    row_bytes = rows[0].nbytes
    step = min(rows_that_fit(limits.call_rows, weight), _room(limits, bare_bytes) // row_bytes)
    if step < 1:
        raise InvalidInput(
            field, f"takes {row_bytes} bytes per row; the server's limit on a request is {limits.request_bytes}"
        )
    bounds = ranges(len(rows), lambda start: min(start + step, len(rows)), most_rows, weight)
    return ((start, to_message(rows[start:stop])) for start, stop in bounds)


class _CallerImages(NamedTuple):
    """A caller's images."""

    files: list[bytes]
    field: str
    """What to call them in an error."""
    fit: SizeFit
    size: PictureSize | None
    """That all come to, where sizes are free."""


def _split_images(
    images: _CallerImages, model: Model, bare_bytes: int, most_rows: MostRows
) -> Iterator[tuple[int, DataPart]]:
    """Returns parts of as many images as fit. The header of every image is checked before any of them is sent."""
    files, field, fit, size = images
    if not takes_images(model.data):
        shape = brief(model.data.axes)
        raise InvalidInput(field, f"is images, the model takes arrays: {model.data.kind} rows of shape {shape}")
    room, limits, weight = _room(model.limits, bare_bytes), model.limits, model.data.weight(size)
    call_rows = rows_that_fit(limits.call_rows, weight)
    for row, image in enumerate(files):
        check_image(image, f"{field}[{row}]", model.data, fit, size)
        if len(image) + _IMAGE_OVERHEAD > room:
            raise InvalidInput(
                f"{field}[{row}]",
                f"takes {len(image)} bytes; the server's limit on a request is {limits.request_bytes}",
            )

    def fitting(start: int) -> int:
        stop, taken = start, 0
        while stop < min(len(files), start + call_rows):
            taken += len(files[stop]) + _IMAGE_OVERHEAD
            if taken > room:
                break
            stop += 1
        return stop

    bounds = ranges(len(files), fitting, most_rows, weight)
    return ((start, {"images": pb.EncodedImages(images=files[start:stop])}) for start, stop in bounds)


def _room(limits: Limits, bare_bytes: int) -> int:
    return limits.request_bytes - bare_bytes - _PART_OVERHEAD
