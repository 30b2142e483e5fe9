"""Parts: a caller's rows, split so that each request fits the server's limits and its answer meets the deadline."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from vaeserve.client.caller_rows import Frame, as_frame, as_pictures, as_rows
from vaeserve.client.description import Limits, Model
from vaeserve.errors import InvalidInput
from vaeserve.package.row_spec import Array
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb

_PART_OVERHEAD = 128  # bytes; an upper bound for the tags, lengths, shape and row number around a part's elements
_IMAGE_OVERHEAD = 6  # bytes; an upper bound for an image's tag and length

MostRows = Callable[[int], int]
"""Returns how many of the remaining rows the next part may hold, according to the time that rows take."""


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


def ranges(rows: int, fitting: Callable[[int], int], most_rows: MostRows) -> Iterator[tuple[int, int]]:
    """Yields where parts begin and end, one at a time, so that each answer can set the size of the next part.

    Args:
        rows: number of rows in all parts together.
        fitting: returns the last possible end of a part that begins at a row, within the server's limits.
        most_rows: how many rows the time allows.
    """
    start = 0
    while start < rows:
        stop = min(fitting(start), start + most_rows(rows - start))
        yield start, stop
        start = stop


def split_data(
    rows: CallerRows, field: str, model: Model, bare_bytes: int, most_rows: MostRows
) -> Iterator[tuple[int, DataPart]]:
    """Returns the parts of rows of data, each with its offset.

    Args:
        rows: what to split.
        field: name of the rows in an error.
        model: the model, with the server's limits.
        bare_bytes: size of a request without rows, in bytes.
        most_rows: how many rows the time allows.

    Raises:
        InvalidInput: a row does not fit the model, or is too large for a request.
    """
    if isinstance(rows, list):
        return _split_images(rows, field, model, bare_bytes, most_rows)
    numbers = rows.rows(model.data.columns) if isinstance(rows, Frame) else rows
    parts = split(model.data.fit(numbers, field), field, model.limits, bare_bytes, most_rows)
    return ((offset, {"data": part}) for offset, part in parts)


def split(
    rows: Array, field: str, limits: Limits, bare_bytes: int, most_rows: MostRows
) -> Iterator[tuple[int, pb.Tensor]]:
    """Returns the parts of an array, each with its offset, as `split_data` does."""
    row_bytes = rows[0].nbytes
    step = min(limits.call_rows, _room(limits, bare_bytes) // row_bytes)
    if step < 1:
        raise InvalidInput(
            field, f"takes {row_bytes} bytes per row; the server's limit on a request is {limits.request_bytes}"
        )
    bounds = ranges(len(rows), lambda start: min(start + step, len(rows)), most_rows)
    return ((start, to_message(rows[start:stop])) for start, stop in bounds)


def _split_images(
    images: Sequence[bytes], field: str, model: Model, bare_bytes: int, most_rows: MostRows
) -> Iterator[tuple[int, DataPart]]:
    """Returns parts of as many images as fit. The header of every image is checked before any of them is sent."""
    from vaeserve.rows.image_checks import check_image, takes_images

    if not takes_images(model.data):
        shape = list(model.data.shape)
        raise InvalidInput(field, f"is images, the model takes arrays: {model.data.kind} rows of shape {shape}")
    room, limits = _room(model.limits, bare_bytes), model.limits
    for row, image in enumerate(images):
        check_image(image, f"{field}[{row}]", model.data)
        if len(image) + _IMAGE_OVERHEAD > room:
            raise InvalidInput(
                f"{field}[{row}]",
                f"takes {len(image)} bytes; the server's limit on a request is {limits.request_bytes}",
            )

    def fitting(start: int) -> int:
        stop, size = start, 0
        while stop < min(len(images), start + limits.call_rows):
            size += len(images[stop]) + _IMAGE_OVERHEAD
            if size > room:
                break
            stop += 1
        return stop

    bounds = ranges(len(images), fitting, most_rows)
    return ((start, {"images": pb.EncodedImages(images=images[start:stop])}) for start, stop in bounds)


def _room(limits: Limits, bare_bytes: int) -> int:
    return limits.request_bytes - bare_bytes - _PART_OVERHEAD
