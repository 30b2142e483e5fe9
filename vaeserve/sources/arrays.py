"""`.npy` and `.npz` files -> images or a table. Nothing that a file holds is run: objects are refused."""

import errno
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np

from vaeserve.errors import InvalidInput
from vaeserve.files import MALFORMED, AnyArray
from vaeserve.sources.archive import choose
from vaeserve.sources.classes import Classes, classes_of, labels_of
from vaeserve.sources.content import (
    Content,
    images_spec,
    refuse_too_large,
    room_for,
)
from vaeserve.sources.names import shown
from vaeserve.sources.precision import Loss, losses_of
from vaeserve.sources.table import Table, leave_out_bad, number_problem, to_float32

PartArrays = dict[str, AnyArray]  # [rows, ...] each: train; validation and test where the file tells which they are
_CHANNELS = (1, 3, 4)


def read_npy(path: Path, skip_bad: bool) -> Content:
    """Returns the rows of a `.npy` file.

    Raises:
        InvalidInput: named by the path; the file cannot be read, or holds neither images nor rows of numbers.
    """
    with _translated(path):
        with path.open("rb") as file:
            _check_start(file, np.lib.format.MAGIC_PREFIX)
        array = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: a header that lies costs no memory
    return _content(path, {"train": _rows(array, shown(path))}, Classes(), skip_bad, "")


def read_npz(path: Path, skip_bad: bool) -> Content:
    """Returns the rows of a `.npz` file; `archive.choose` tells which of its arrays they are.

    Raises:
        InvalidInput: named by the path; the file cannot be read, it is not clear which array to take, or
            that one holds neither images nor rows of numbers.
    """
    parts, labels, said = PartArrays(), list[AnyArray](), list[str]()
    with _translated(path), path.open("rb") as file:
        _check_start(file, b"PK")
        archive = np.load(file, allow_pickle=False)
        for field, part in choose(archive.files, shown(path)).taken.items():
            parts[field] = _rows(_member(archive, part.rows, path), f"{shown(path)}: {shown(part.rows)}")
            said.append(shown(part.rows))
            told = _labels(archive, part.labels, path, len(parts[field])) if part.labels else None
            if told is not None:
                labels.append(told)
                said.append(f"classes {shown(part.labels)}")
    found = classes_of(np.concatenate(labels)) if len(labels) == len(parts) else Classes()
    return _content(path, parts, found, skip_bad, f": {', '.join(said)}")


def holds_images(path: Path) -> bool:
    """Tells from its header alone whether a `.npy` or `.npz` file holds images; False of one that cannot be read."""
    try:
        with _translated(path), path.open("rb") as file:
            if path.suffix.lower() == ".npy":
                return len(_shape(file)) > 2
            with zipfile.ZipFile(file) as archive:
                members = {name.removesuffix(".npy"): name for name in archive.namelist()}
                rows = choose([*members], shown(path)).train.rows
                with archive.open(members[rows]) as member:
                    return len(_shape(member)) > 2
    except InvalidInput:
        return False


def _shape(file: IO[bytes]) -> tuple[int, ...]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)[0]


def _check_start(file: BinaryIO, expected: bytes) -> None:
    """Makes sure that a file begins as its name says: what begins otherwise NumPy takes for a pickle."""
    if file.read(len(expected)) != expected:
        raise ValueError("begins otherwise")
    file.seek(0)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turns what NumPy raises into an error that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that an old Python wrote
            yield
    except MALFORMED as exc:
        if "object" in str(exc).lower():
            problem = "holds Python objects, which are never read: they could run anything"
        else:
            problem = f"is no intact {path.suffix} file of plain values"
        raise InvalidInput(shown(path), f"{problem}") from exc
    except OSError as exc:
        if exc.errno in (None, errno.EINVAL):  # bz2's own, and a place outside the file
            raise InvalidInput(shown(path), f"is no intact {path.suffix} file of plain values") from exc
        raise InvalidInput(shown(path), f"cannot be read: {exc.strerror}") from exc


def _member(archive: np.lib.npyio.NpzFile, key: str, path: Path) -> AnyArray:
    members = archive.zip.infolist() if archive.zip else []
    sizes = [info.file_size for info in members if info.filename in (key, f"{key}.npy")]
    refuse_too_large(max(sizes, default=0), path)
    array = archive[key]
    if not isinstance(array, np.ndarray):
        raise InvalidInput(shown(path), f"{shown(key)} is no array")
    return array


def _rows(array: AnyArray, name: str) -> AnyArray:
    """Returns images [rows, height, width, channels] of uint8 or bool, or numbers [rows, columns]."""
    if not array.size:
        raise InvalidInput(name, f"is {array.dtype} {list(array.shape)}: is empty")
    if array.dtype.kind in "buif" and array.ndim == 2:
        return array
    if array.dtype in (np.uint8, np.bool_) and array.ndim == 3:
        return array[..., np.newaxis]
    if array.dtype in (np.uint8, np.bool_) and array.ndim == 4 and array.shape[3] in _CHANNELS:
        return array
    raise InvalidInput(
        name,
        f"is {array.dtype} {list(array.shape)}; images are uint8 [rows, height, width] or "
        "[rows, height, width, channels] with 1, 3 or 4 channels, tables are numbers [rows, columns]",
    )


def _labels(archive: np.lib.npyio.NpzFile, key: str, path: Path, rows: int) -> AnyArray | None:
    """Returns names or whole numbers, [rows]; None for what holds no classes."""
    labels = _member(archive, key, path)
    if not labels.ndim or len(labels) != rows:
        raise InvalidInput(
            shown(path), f"{shown(key)} is {list(labels.shape)}, must hold a label for each of {rows} rows"
        )
    if labels.size != rows:
        return None
    return labels_of(labels.reshape(rows))


def _content(path: Path, parts: PartArrays, classes: Classes, skip_bad: bool, said: str) -> Content:
    shapes = {rows.shape[1:] for rows in parts.values()}
    if len(shapes) > 1:
        raise InvalidInput(shown(path), f"its arrays differ in the shape of a row: {' and '.join(map(str, shapes))}")
    (shape,) = shapes
    if len(shape) == 1:
        return _table(path, parts, classes, skip_bad, said)
    values = room_for((sum(map(len, parts.values())), *shape), np.uint8, path)
    np.concatenate([*parts.values()], out=values)
    maximum = 255 if values.max(initial=0) > 1 else 1
    return Content(
        title=shown(path.name) + said,
        spec=images_spec(shape, maximum),
        family="gaussian" if maximum > 1 else "bernoulli",
        values=values,
        labels=classes.labels,
        classes=classes.names,
        validation_rows=len(parts.get("validation", ())),
        test_rows=len(parts.get("test", ())),
    )


def _table(path: Path, parts: PartArrays, classes: Classes, skip_bad: bool, said: str) -> Content:
    arrays = [*parts.values()]
    starts = np.cumsum([0, *map(len, arrays)])

    def problem(row: int, column: int) -> str:
        part = int(np.searchsorted(starts, row, "right")) - 1
        return number_problem(float(arrays[part][row - starts[part], column]))

    values = room_for((int(starts[-1]), arrays[0].shape[1]), np.float32, path)
    for array, start in zip(arrays, starts, strict=False):
        values[start : start + len(array)] = to_float32(array)
    names = tuple(range(values.shape[1]))
    table = Table(shown(path), names, values, np.arange(len(values)), problem, _losses(arrays))
    good = leave_out_bad(table, skip_bad)
    left = dict(zip(parts, (int(rows.sum()) for rows in np.split(good.rows, starts[1:-1])), strict=True))
    return good.content(shown(path.name) + said)._replace(
        labels=None if classes.labels is None else classes.labels[good.rows],
        classes=classes.names,
        validation_rows=left.get("validation", 0),
        test_rows=left.get("test", 0),
    )


def _losses(arrays: list[AnyArray]) -> dict[int, Loss]:
    """Returns what float32 loses, by column, a column at a time: all of them in float64 may not fit in memory."""
    if all(np.can_cast(array.dtype, np.float32) for array in arrays):
        return {}
    columns = range(arrays[0].shape[1])
    return losses_of(np.concatenate([array[:, column].astype(np.float64) for array in arrays]) for column in columns)
