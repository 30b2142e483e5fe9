"""A folder -> its picture files, folders within included -> rows of an image model."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple, TypeVar

import numpy as np

from vaeserve.errors import InvalidInput
from vaeserve.files import AnyArray
from vaeserve.package.data_spec import DataSpec
from vaeserve.printable import printable
from vaeserve.rows.image_checks import takes_images
from vaeserve.rows.images import decode_image, to_rows
from vaeserve.rows.size_fit import SizeFit
from vaeserve.sources.ahead import read_ahead
from vaeserve.sources.picture import KINDS, Wanted, parse_picture, read_file
from vaeserve.sources.tiff import SIGNATURES as TIFF_SIGNATURES
from vaeserve.sources.walk import walk

_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"))
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", *TIFF_SIGNATURES)
NO_PICTURES = f"holds no pictures ({KINDS})"
_COLOURS = {1: "grey", 3: "colour"}

Read = TypeVar("Read")


class FittedRows(NamedTuple):
    """Rows that fit a model."""

    rows: AnyArray | list[bytes]
    """[rows, *shape], or pictures as they are where the model does not tell how they were fitted."""
    files: tuple[Path, ...] = ()
    """What each row was read from, if that is a picture."""
    skipped: tuple[str, ...] = ()
    """One line for each picture or row that was left out because it is bad."""
    numbers: AnyArray | None = None
    """The number of each row in its file, where some were left out; the first is 0."""
    notes: tuple[str, ...] = ()
    """One line for each thing to know about how a file was read."""


def read_rows(files: Sequence[Path], spec: DataSpec, skip_bad: bool = False, fit: SizeFit = "exact") -> FittedRows:
    """Returns pictures as rows, fitted as those that the model was trained on, where it tells how.

    Args:
        files: one or more.
        spec: the model's data.
        skip_bad: whether to leave out and list what cannot be used.
        fit: how each is brought to a size that the model takes, if it takes many. They may come to several.

    Raises:
        InvalidInput: named by the path; a picture is bad or does not fit the model, or all are and none is left.
    """

    def read_one(file: Path) -> AnyArray | bytes:
        return fit_picture(read_file(file), printable(file), spec, fit)

    skipped = list[str]()
    read = list(read_each(files, read_one, skip_bad, skipped))
    if not read:
        raise InvalidInput(printable(files[0]), f"none of {len(files)} pictures can be used: {skipped[0]}")
    usable, rows = zip(*read, strict=True)
    return FittedRows(np.stack(rows) if _tells_fit(spec) else list(rows), usable, tuple(skipped))


def fit_picture(content: bytes, name: str, spec: DataSpec, fit: SizeFit = "exact") -> AnyArray | bytes:
    """Returns a picture as a row, fitted as the model tells; as it is, but checked, where the model does not tell.

    Raises:
        InvalidInput: named by `name`; the picture is bad or does not fit the model.
    """
    if not _tells_fit(spec):
        if takes_images(spec):
            decode_image(content, name, spec, fit)
        return content
    return picture_row(content, name, spec)


def picture_row(content: bytes, name: str, spec: DataSpec) -> AnyArray:
    """Returns a picture as a row, fitted as the model tells; where it does not tell, decoded as the service decodes it.

    Raises:
        InvalidInput: named by `name`; the picture is bad or does not fit the model.
    """
    if spec.image_fit is None:
        return to_rows(decode_image(content, name, spec), spec)
    height, width, channels = spec.shape
    fit = spec.image_fit
    picture = parse_picture(content, name, Wanted((height, width), fit.fit, fit.channels, fit.white))
    if picture.shape[2] != channels:
        raise InvalidInput(name, f"is in {colours(picture.shape[2])}, must be in {colours(channels)}")
    return to_rows(picture, spec)


def _tells_fit(spec: DataSpec) -> bool:
    """Whether pictures are fitted as in training. A model of many sizes takes them at a size of their own."""
    return spec.image_fit is not None and spec.sizes is None


def read_each(
    files: Iterable[Path], read: Callable[[Path], Read], skip_bad: bool, skipped: list[str]
) -> Iterator[tuple[Path, Read]]:
    """Yields each file with what was read of it, in order; of a bad one that is skipped, a line goes to `skipped`.

    Some files ahead are read by threads, because Pillow decodes and scales outside Python's lock.

    Raises:
        InvalidInput: a file is bad, and `skip_bad` is not set.
    """
    for file, answer in read_ahead(files, read):
        try:
            yield file, answer()
        except InvalidInput as exc:
            if not skip_bad:
                raise
            skipped.append(str(exc))


def picture_files(paths: Iterable[Path]) -> list[Path]:
    """Returns the files given, and for each folder the pictures below it.

    Raises:
        InvalidInput: named by the path; a folder holds none or cannot be read, or a file is not a picture.
    """
    return [file for path in paths for file in (find_pictures(path) if path.is_dir() else [_picture(path)])]


def find_pictures(directory: Path) -> list[Path]:
    """Returns the files below a folder that are named as pictures are or begin as they do, sorted by path.

    A file or folder whose name begins with a dot is passed over, as is a folder that a link leads to a second time.

    Raises:
        InvalidInput: named by the path; the folder holds no pictures, or a folder or file cannot be read.
    """
    pictures = [directory / name for name in walk(directory) if is_picture(directory / name)]
    if not pictures:
        raise InvalidInput(printable(directory), NO_PICTURES)
    return pictures


def colours(channels: int) -> str:
    """Returns what to call so many channels."""
    return _COLOURS.get(channels, f"{channels} channels")


def _picture(path: Path) -> Path:
    if is_picture(path):
        return path
    problem = f"must be a picture ({KINDS}), a folder of them, or a file of rows (.npy, .npz, .csv, .parquet)"
    raise InvalidInput(printable(path), problem)


def is_picture(path: Path) -> bool:
    """Whether a file is named as pictures are, or begins as they do.

    Raises:
        InvalidInput: named by the path; it cannot be read.
    """
    if is_picture_name(path.name):
        return True
    if not path.is_file():  # a pipe would wait for ever
        return False
    try:
        with path.open("rb") as file:
            return file.read(4).startswith(_SIGNATURES)
    except OSError as exc:
        raise InvalidInput(printable(path), f"cannot be read: {exc.strerror}") from exc


def is_picture_name(name: str) -> bool:
    """Whether a file is named as pictures are."""
    return PurePath(name).suffix.lower() in _SUFFIXES
