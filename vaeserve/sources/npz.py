"""`.npz` files -> their arrays of rows, and the classes of those."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vaeserve.errors import InvalidInput
from vaeserve.files import AnyArray
from vaeserve.printable import printable
from vaeserve.sources.archive import choose
from vaeserve.sources.array_fit import CHANNELS, is_first
from vaeserve.sources.classes import Classes, classes_of, labels_of
from vaeserve.sources.numpy_files import check_start, held_bytes, member, numpy_errors

PartArrays = dict[str, AnyArray]  # [rows, ...] each: train; validation and test where the file tells which they are


class NpzRows(NamedTuple):
    """What a `.npz` file holds."""

    parts: PartArrays
    classes: Classes
    names: list[str]
    """What to call the arrays that were taken."""
    notes: tuple[str, ...] = ()
    """Lines about which these are, and whether they are held in memory."""


def read_npz_rows(path: Path) -> NpzRows:
    """Returns the arrays of a `.npz` file that are rows, and their classes. `archive.choose` tells which they are.

    Raises:
        InvalidInput: named by the path; the file cannot be read, it is not clear which array to take, or that one
            holds neither images nor rows of numbers.
    """
    parts, labels, names, held = PartArrays(), list[AnyArray](), list[str](), 0
    with numpy_errors(path), path.open("rb") as file:
        check_start(file, b"PK")
        archive = np.load(file, allow_pickle=False)
        for field, part in choose(archive.files, printable(path)).taken.items():
            parts[field] = checked_rows(member(archive, part.rows, path), f"{printable(path)}: {printable(part.rows)}")
            names.append(printable(part.rows))
            held += held_bytes(archive, part.rows)
            of_part = _labels(archive, part.labels, path, len(parts[field])) if part.labels else None
            if of_part is not None:
                labels.append(of_part)
                names.append(f"classes {printable(part.labels)}")
    classes = classes_of(np.concatenate(labels), printable(path)) if len(labels) == len(parts) else Classes()
    notes = tuple(_notes(archive, names, f"{printable(path)}: ", held))
    return NpzRows(parts, classes, names, notes)


def _notes(archive: np.lib.npyio.NpzFile, taken: list[str], called: str, held: int) -> Iterator[str]:
    if len(archive.files) > len(taken):
        yield f"{called}took {' and '.join(taken)}, of {', '.join(map(printable, sorted(archive.files)))}"
    if held:
        yield (
            f"{called}is compressed, so {held / 2**30:.1f} GiB were held in memory: what np.save or np.savez writes is "
            "mapped"
        )


def checked_rows(array: AnyArray, name: str) -> AnyArray:
    """Returns images [rows, height, width(, channels)], also with channels first, or numbers [rows, columns]."""
    if not array.size:
        raise InvalidInput(name, f"is {array.dtype} {list(array.shape)}: is empty")
    is_numbers, is_image = array.dtype.kind in "buif", array.ndim == 3 or is_first(array.shape)
    if is_numbers and (array.ndim == 2 or is_image or (array.ndim == 4 and array.shape[3] in CHANNELS)):
        return array
    raise InvalidInput(
        name,
        f"is {array.dtype} {list(array.shape)}; images are numbers [rows, height, width], "
        "[rows, height, width, channels] or [rows, channels, height, width] with 1, 3 or 4 channels, "
        "tables are numbers [rows, columns]",
    )


def _labels(archive: np.lib.npyio.NpzFile, key: str, path: Path, rows: int) -> AnyArray | None:
    """Returns names or whole numbers, [rows]; None for what holds no classes."""
    labels = member(archive, key, path)
    if not labels.ndim or len(labels) != rows:
        raise InvalidInput(
            printable(path), f"{printable(key)} is {list(labels.shape)}, must hold a label for each of {rows} rows"
        )
    if labels.size != rows:
        return None
    return labels_of(labels.reshape(rows))
