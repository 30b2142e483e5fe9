"""A folder -> its pictures, all of one shape. Folders within are walked, their names mean nothing."""

import os
from math import prod
from pathlib import Path

from training.data.content import Array, Content, colours, images_spec, refuse_too_large, room_for
from training.data.picture import Wanted, read_picture
from training.names import shown
from training.source import Source
from vae.errors import TrainingError

_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"))
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF")


def read_pictures(directory: Path, source: Source) -> Content:
    """Returns a folder's pictures, in the order of their paths. Needs memory for their pixels and one picture more.

    Raises:
        TrainingError: there are none, one is bad, or not all have one shape.
    """
    files = find_pictures(directory)
    if not files:
        raise TrainingError(f"{shown(directory)}: holds no pictures (PNG, JPEG or WebP)")
    if source.image_size is not None:
        refuse_too_large(len(files) * prod(source.image_size) * (source.channels or 1), directory)
    wanted, skipped = Wanted(source.image_size, source.image_fit, source.channels), []
    values: Array | None = None
    rows = 0
    for file in files:
        try:
            picture = read_picture(file, wanted)
        except TrainingError as exc:
            if not source.skip_bad:
                raise
            skipped.append(str(exc))
            continue
        if values is None:
            first, values = file, room_for((len(files), *picture.shape), picture.dtype, directory)
        if picture.shape != values.shape[1:]:
            raise TrainingError(_differ(file, picture, first, values[0]))
        values[rows] = picture
        rows += 1
    if values is None:
        raise TrainingError(f"{shown(directory)}: none of its {len(files)} pictures can be used: {skipped[0]}")
    shape = values.shape[1:]
    return Content(
        title=shown(directory.resolve().name),
        spec=images_spec(shape),
        family="gaussian",
        values=values[:rows],  # what follows was never written to, so takes no memory
        skipped=tuple(skipped),
    )


def find_pictures(directory: Path) -> list[Path]:
    """Returns the files below a folder that are named as pictures are or begin as they do, sorted by path.

    A file or folder whose name begins with a dot is passed over, as is a folder that a link leads to a second time.

    Raises:
        TrainingError: a folder or file cannot be read.
    """
    found, seen = [], set[tuple[int, int]]()
    try:
        for folder, folders, files in os.walk(directory, onerror=_raise, followlinks=True):
            place = Path(folder).stat()
            if (place.st_dev, place.st_ino) in seen:
                folders.clear()
                continue
            seen.add((place.st_dev, place.st_ino))
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            paths = (Path(folder, name) for name in files if not name.startswith("."))
            found += [path for path in paths if _is_picture(path)]
    except OSError as exc:
        raise TrainingError(f"{shown(exc.filename or directory)}: cannot be read: {exc.strerror}") from exc
    return sorted(found)


def _raise(error: OSError) -> None:
    raise error


def _is_picture(path: Path) -> bool:
    if path.suffix.lower() in _SUFFIXES:
        return True
    if not path.is_file():  # a pipe would wait for ever
        return False
    with path.open("rb") as file:
        return file.read(4).startswith(_SIGNATURES)


def _differ(file: Path, picture: Array, first: Path, other: Array) -> str:
    if picture.shape[:2] != other.shape[:2]:
        sizes = [f"{array.shape[1]} x {array.shape[0]} pixels" for array in (picture, other)]
        return f"{shown(file)}: is {sizes[0]}, {shown(first)} is {sizes[1]}: bring all to one size by --image-size"
    kinds = [colours(array.shape[2]) for array in (picture, other)]
    return f"{shown(file)}: is in {kinds[0]}, {shown(first)} in {kinds[1]}: bring all to one kind by --channels"
