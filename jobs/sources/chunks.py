"""Chunks: rows of several files, put together so that every chunk but the last has as many rows as asked for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from jobs.rows import Chunk, Span
from vaeserve.files import AnyArray
from vaeserve.package.row_spec import Array, RowSpec
from vaeserve.package.sizes import PictureSize
from vaeserve.printable import printable

CROP_COLUMNS = ("original_size", "crop_top_left", "target_size")
"""How a picture was cropped, as trainers of latent models are told: height and width of the picture; pixels of the
scaled picture above the row and to the left of it; height and width of the row."""


class ReadRows(NamedTuple):
    """Rows of one file, fitted to the model."""

    rows: Array
    """[rows, *shape]; blank where there is an error."""
    errors: Mapping[int, str]
    """What is wrong with a row, by its place in the piece."""
    columns: Mapping[str, Any] = {}
    """Columns that travel along: Arrow arrays, [rows] each."""


class PictureRow(NamedTuple):
    """A row that is a picture."""

    source: str
    """The file that it comes from."""
    number: int
    """Its number in that file."""
    row: AnyArray | None
    """[*shape]; None where there is an error."""
    error: str = ""
    crop: tuple[PictureSize, tuple[int, int]] | None = None
    """Size of the picture, and pixels above and to the left of the row in the scaled picture; None: not cropped."""


def cut(spans: Sequence[Span], chunk_rows: int) -> Iterator[list[Span]]:
    """Yields spans of the same rows for one chunk after another."""
    parts, room = list[Span](), chunk_rows
    for span in spans:
        start = span.start
        while start < span.stop:
            stop = min(span.stop, start + room)
            parts.append(span._replace(start=start, stop=stop))
            room -= stop - start
            start = stop
            if not room:
                yield parts
                parts, room = [], chunk_rows
    if parts:
        yield parts


def join_pieces(parts: Sequence[tuple[Span, ReadRows]]) -> Chunk:
    """Returns the rows of spans as one chunk."""
    errors, first = dict[int, str](), 0
    for _, piece in parts:
        errors |= {first + row: error for row, error in piece.errors.items()}
        first += len(piece.rows)
    return Chunk(
        rows=parts[0][1].rows if len(parts) == 1 else np.concatenate([piece.rows for _, piece in parts]),
        errors=errors,
        sources=[name for span, _ in parts for name in (source_name(span.file),) * span.rows],
        source_rows=np.concatenate([np.arange(span.start, span.stop, dtype=np.int64) for span, _ in parts]),
        columns={name: _joined([piece.columns[name] for _, piece in parts]) for name in parts[0][1].columns},
    )


def join_pictures(
    pictures: Iterable[PictureRow], spec: RowSpec, chunk_rows: int, size: PictureSize | None
) -> Iterator[Chunk]:
    """Yields pictures in chunks.

    Args:
        pictures: as they were read.
        spec: the model's rows.
        chunk_rows: rows of a chunk.
        size: that they were cropped to; None: the model has one size.
    """
    blank = spec.at(size).blank(1)[0]
    held = list[PictureRow]()
    for picture in pictures:
        held.append(picture)
        if len(held) == chunk_rows:
            yield _chunk(held, blank, size)
            held = []
    if held:
        yield _chunk(held, blank, size)


def source_name(name: str) -> str:
    """Returns a file's name as text that every format can hold: bytes that are not UTF-8 become escapes."""
    return name if name.isascii() or name.encode("utf-8", "ignore").decode() == name else printable(name)


def _chunk(pictures: Sequence[PictureRow], blank: Array, size: PictureSize | None) -> Chunk:
    return Chunk(
        rows=np.stack([blank if picture.row is None else picture.row for picture in pictures]),
        errors={place: picture.error for place, picture in enumerate(pictures) if picture.row is None},
        sources=[source_name(picture.source) for picture in pictures],
        source_rows=np.array([picture.number for picture in pictures], np.int64),
        columns={},
        crops={} if size is None else _crops(pictures, size),
    )


def _crops(pictures: Sequence[PictureRow], size: PictureSize) -> dict[str, npt.NDArray[np.int64]]:
    """Returns how pictures were cropped to a size, [rows, 2] each; zeros for one that has an error."""
    crops = [picture.crop or (PictureSize(0, 0), (0, 0)) for picture in pictures]
    columns = ([original for original, _ in crops], [corner for _, corner in crops], [size] * len(crops))
    return {name: np.array(values, np.int64) for name, values in zip(CROP_COLUMNS, columns, strict=True)}


def _joined(arrays: Sequence[Any]) -> Any:  # noqa: ANN401, Arrow ships no types
    import pyarrow as pa

    return arrays[0] if len(arrays) == 1 else pa.concat_arrays(arrays)
