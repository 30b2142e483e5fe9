"""A caller's rows -> parts that keep a request within the server's limits, and its answer within the deadline."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from vaeserve.client.description import Limits, Model
from vaeserve.client.given import Frame, as_frame, as_pictures, as_rows
from vaeserve.errors import InvalidInput
from vaeserve.package.row_spec import Array
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb

_PART_OVERHEAD = 128  # bytes; more than the tags, lengths, shape and row number around a part's elements can take
_IMAGE_OVERHEAD = 6  # bytes; the most that an image's tag and length take

MostRows = Callable[[int], int]
"""Tells how many of the rows that are left the next part may hold, from the time that they take."""


class DataPart(TypedDict, total=False):
    """Some rows of data: the member of a request's oneof that holds them."""

    data: pb.Tensor
    images: pb.EncodedImages


Data = Array | Frame | list[bytes]
"""Rows of data: numbers, columns of them that have names, or encoded images."""


def as_data(values: npt.ArrayLike, field: str) -> Data:
    """Returns a user's rows of data: encoded images if every row is bytes or a picture of Pillow's.

    Raises:
        InvalidInput: neither, or no rows.
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
    """Returns where parts begin and end, one by one, so that an answer can tell how large the next part is to be.

    Args:
        rows: of all parts together.
        fitting: tells where a part that begins at a row has to end at the latest, to keep the server's limits.
        most_rows: as the time allows.
    """
    start = 0
    while start < rows:
        stop = min(fitting(start), start + most_rows(rows - start))
        yield start, stop
        start = stop


def split_data(
    rows: Data, field: str, known: Model, bare_bytes: int, most_rows: MostRows
) -> Iterator[tuple[int, DataPart]]:
    """Returns parts of rows of data, each with its offset.

    Args:
        rows: what to split.
        field: what to call the rows in an error.
        known: the model, and the server's limits.
        bare_bytes: size of a request without rows.
        most_rows: as the time allows.

    Raises:
        InvalidInput: a row does not fit the model, or no request.
    """
    if isinstance(rows, list):
        return _split_images(rows, field, known, bare_bytes, most_rows)
    numbers = rows.rows(known.data.columns) if isinstance(rows, Frame) else rows
    parts = split(known.data.fit(numbers, field), field, known.limits, bare_bytes, most_rows)
    return ((offset, {"data": part}) for offset, part in parts)


def split(
    rows: Array, field: str, limits: Limits, bare_bytes: int, most_rows: MostRows
) -> Iterator[tuple[int, pb.Tensor]]:
    """Returns parts of an array, each with its offset, as `split_data` does."""
    row_bytes = rows[0].nbytes
    step = min(limits.call_rows, _room(limits, bare_bytes) // row_bytes)
    if step < 1:
        raise InvalidInput(
            field, f"takes {row_bytes} bytes a row; the server's limit on a request is {limits.request_bytes}"
        )
    bounds = ranges(len(rows), lambda start: min(start + step, len(rows)), most_rows)
    return ((start, to_message(rows[start:stop])) for start, stop in bounds)


def _split_images(
    images: Sequence[bytes], field: str, known: Model, bare_bytes: int, most_rows: MostRows
) -> Iterator[tuple[int, DataPart]]:
    """Returns as many images a part as fit; what their headers tell is checked before any of them is sent."""
    from vaeserve.rows.images import check_image, takes_images  # Pillow, which few callers need

    if not takes_images(known.data):
        shape = list(known.data.shape)
        raise InvalidInput(field, f"is images, the model takes arrays: {known.data.kind} rows of shape {shape}")
    room, limits = _room(known.limits, bare_bytes), known.limits
    for row, image in enumerate(images):
        check_image(image, f"{field}[{row}]", known.data)
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
