"""`.npy` and `.npz` files -> images or a table."""

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vaeserve.errors import InvalidInput
from vaeserve.files import AnyArray
from vaeserve.printable import printable
from vaeserve.sources.archive import choose
from vaeserve.sources.array_fit import channels_last, evidence_of, parts_of, to_levels
from vaeserve.sources.classes import Classes
from vaeserve.sources.content import Content, images_spec
from vaeserve.sources.npz import PartArrays, checked_rows, read_npz_rows
from vaeserve.sources.numpy_files import mapped_npy, numpy_errors, read_header
from vaeserve.sources.precision import Loss, losses_of
from vaeserve.sources.room import room_for
from vaeserve.sources.table import Table, leave_out_bad, number_problem, to_float32


def read_npy(path: Path, skip_bad: bool) -> Content:
    """Returns the rows of a `.npy` file.

    Raises:
        InvalidInput: named by the path; the file cannot be read, or holds neither images nor rows of numbers.
    """
    return _content(path, {"train": checked_rows(mapped_npy(path), printable(path))}, Classes(), skip_bad, "")


def read_npz(path: Path, skip_bad: bool) -> Content:
    """Returns the rows of a `.npz` file, to train on. Raises InvalidInput as `npz_rows` does."""
    read = read_npz_rows(path)
    return _content(path, read.parts, read.classes, skip_bad, f": {', '.join(read.names)}")


class OpenedRows(NamedTuple):
    """Rows of a file, as far as they can be read without a model."""

    rows: AnyArray | Table
    notes: tuple[str, ...] = ()
    """One line for each thing to know about how the file was read."""


def npz_rows(path: Path) -> OpenedRows:
    """Returns all rows of a `.npz` file: images, or a table. `archive.choose` tells which of its arrays they are.

    Raises:
        InvalidInput: named by the path; the file cannot be read, it is not clear which array to take, or that one
            holds neither images nor rows of numbers.
    """
    read = read_npz_rows(path)
    if _row_shape(path, read.parts)[1:] == ():
        return OpenedRows(_table(path, read.parts), read.notes)
    images = _joined(path, read.parts)
    return OpenedRows(images[..., np.newaxis] if images.ndim == 3 else images, read.notes)


def _joined(path: Path, parts: PartArrays) -> AnyArray:
    """Returns the rows of all parts in one array; those of a single part as they are."""
    first, *others = arrays = [*parts.values()]
    if not others:
        return first
    shape, dtype = (sum(map(len, arrays)), *_row_shape(path, parts)), np.result_type(*arrays)
    return np.concatenate(arrays, out=room_for(shape, dtype, path))


def holds_images(path: Path) -> bool:
    """Tells from its header alone whether a `.npy` or `.npz` file holds images; False of one that cannot be read."""
    try:
        with numpy_errors(path), path.open("rb") as file:
            if path.suffix.lower() == ".npy":
                return len(read_header(file).shape) > 2
            with zipfile.ZipFile(file) as archive:
                members = {name.removesuffix(".npy"): name for name in archive.namelist()}
                rows = choose([*members], printable(path)).train.rows
                with archive.open(members[rows]) as array:
                    return len(read_header(array).shape) > 2
    except InvalidInput:
        return False


def _row_shape(path: Path, parts: PartArrays) -> tuple[int, ...]:
    """Returns the shape that rows of every part have.

    Raises:
        InvalidInput: named by the path; parts differ.
    """
    shapes = {rows.shape[1:] for rows in parts.values()}
    if len(shapes) > 1:
        raise InvalidInput(
            printable(path), f"its arrays differ in the shape of a row: {' and '.join(map(str, shapes))}"
        )
    return shapes.pop()


def _images(path: Path, parts: PartArrays, maximum: int, white: float) -> AnyArray:
    """Returns all rows as uint8 from 0 to `maximum`."""
    values = room_for((sum(map(len, parts.values())), *_row_shape(path, parts)), np.uint8, path)
    ends = np.cumsum([*map(len, parts.values())])[:-1]
    for rows, array in zip(np.split(values, ends), parts.values(), strict=True):
        for part in parts_of(array):
            rows[part] = to_levels(array[part], white, maximum)
    return values


def _content(path: Path, parts: PartArrays, classes: Classes, skip_bad: bool, about: str) -> Content:
    if _row_shape(path, parts)[1:] == ():
        return _table_content(path, parts, classes, skip_bad, about)
    evidence = evidence_of([*parts.values()], printable(path))
    parts = {field: channels_last(array) for field, array in parts.items()}
    white = evidence.fit.white if evidence.fit else None
    return Content(
        title=printable(path.name) + about,
        spec=images_spec(_row_shape(path, parts), evidence.maximum, array_fit=evidence.fit),
        family="gaussian" if evidence.maximum > 1 else "bernoulli",
        values=_images(path, parts, evidence.maximum, white or evidence.maximum),
        labels=classes.labels,
        classes=classes.names,
        validation_rows=len(parts.get("validation", ())),
        test_rows=len(parts.get("test", ())),
        notes=evidence.notes,
    )


def _table_content(path: Path, parts: PartArrays, classes: Classes, skip_bad: bool, about: str) -> Content:
    good = leave_out_bad(_table(path, parts), skip_bad)
    ends = np.cumsum([*map(len, parts.values())])[:-1]
    left = dict(zip(parts, (int(rows.sum()) for rows in np.split(good.rows, ends)), strict=True))
    return good.content(printable(path.name) + about)._replace(
        labels=None if classes.labels is None else classes.labels[good.rows],
        classes=classes.names,
        validation_rows=left.get("validation", 0),
        test_rows=left.get("test", 0),
    )


def _table(path: Path, parts: PartArrays) -> Table:
    arrays = [*parts.values()]
    starts = np.cumsum([0, *map(len, arrays)])

    def problem(row: int, column: int) -> str:
        part = int(np.searchsorted(starts, row, "right")) - 1
        return number_problem(float(arrays[part][row - starts[part], column]))

    values = room_for((int(starts[-1]), arrays[0].shape[1]), np.float32, path)
    for array, start in zip(arrays, starts, strict=False):
        for part in parts_of(array):
            values[start : start + len(array)][part] = to_float32(array[part])
    names = tuple(range(values.shape[1]))
    return Table(printable(path), names, values, np.arange(len(values)), problem, losses=_losses(arrays))


def _losses(arrays: list[AnyArray]) -> dict[int, Loss]:
    """Returns what float32 loses, by column, a column at a time: all of them in float64 may not fit in memory."""
    if all(np.can_cast(array.dtype, np.float32) for array in arrays):
        return {}
    columns = range(arrays[0].shape[1])
    return losses_of(np.concatenate([array[:, column].astype(np.float64) for array in arrays]) for column in columns)
