"""A folder -> its pictures, all of one shape, and the classes that the folders within name."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from vaeserve.errors import InvalidInput
from vaeserve.files import AnyArray
from vaeserve.package.data_spec import ImageFit
from vaeserve.printable import printable
from vaeserve.sources.bits import WHITES, white_of
from vaeserve.sources.classes import classes_of
from vaeserve.sources.content import ClassLabels, Content, ReportCount, images_spec
from vaeserve.sources.picture import Wanted, read_picture
from vaeserve.sources.pictures import colours, find_pictures, read_each
from vaeserve.sources.room import room_for

PART_FOLDERS = frozenset(("train", "training", "val", "valid", "validation", "test"))
"""Folders of these names are parts of a data set, not classes."""


def read_folder(
    directory: Path,
    wanted: Wanted,
    skip_bad: bool,
    report: ReportCount = lambda _, __: None,
    *,
    group_folders: bool = False,
) -> Content:
    """Returns a folder's pictures, in the order of their paths.

    Args:
        directory: the folder.
        wanted: what pictures are brought to.
        skip_bad: whether to leave out and list what cannot be used.
        report: called after each picture.
        group_folders: whether the folder that a picture lies in is its group, and those above it are classes.

    Raises:
        InvalidInput: named by the path; there are none, one is bad, not all have one shape, or a class has too long a
            name. Or named by the flag; there are no groups.
    """
    pictures, white = _read_scaled(directory, wanted, skip_bad, report)
    files, values, skipped, _ = pictures
    # Without a wanted size all pictures must have one size, and later ones too.
    fit = ImageFit(fit=wanted.fit if wanted.size else "exact", channels=wanted.channels, white=white)
    content = Content(
        title=printable(directory.resolve().name),
        spec=images_spec(values.shape[1:], image_fit=fit),
        family="gaussian",
        values=values,
        skipped=skipped,
        notes=() if white is None else (_about_bits(directory, pictures, white),),
    )
    folders = folders_of(directory, files)
    if group_folders:
        content = content._replace(groups=_groups(directory, files, folders))
        folders = [parts[:-1] for parts in folders]
    names = class_names(folders)
    if names is None:
        return content
    labels, classes = classes_of(names, printable(directory))
    return content._replace(labels=labels, classes=classes)


def folders_of(directory: Path, files: list[Path]) -> list[tuple[str, ...]]:
    """Returns the folders that each picture lies in, below `directory`, or below its `train` and `test`."""
    folders = [file.relative_to(directory).parent.parts for file in files]
    if all(parts and parts[0].lower() in PART_FOLDERS for parts in folders):
        folders = [parts[1:] for parts in folders]
    return folders


def class_names(folders: list[tuple[str, ...]]) -> list[str] | None:
    """Returns each picture's class, the first of its folders; None where one has no folder, or all have the same."""
    if not all(folders):
        return None
    names = [parts[0] for parts in folders]
    return names if len(set(names)) > 1 else None


class _FolderPictures(NamedTuple):
    """What was read of a folder."""

    files: list[Path]
    values: AnyArray
    """[pictures, height, width, channels]."""
    skipped: tuple[str, ...]
    brightest: list[int]
    """The largest value of each picture of more than 8 bits."""


def _read_scaled(
    directory: Path, wanted: Wanted, skip_bad: bool, report: ReportCount
) -> tuple[_FolderPictures, int | None]:
    """Returns a folder's pictures, and the white of those of more than 8 bits; None where there are none.

    They are read a second time if they turn out to have fewer than 16 bits.
    """
    pictures = _read(directory, wanted._replace(white=WHITES[-1]), skip_bad, report)
    if not pictures.brightest:
        return pictures, None
    white = white_of(max(pictures.brightest))
    if white != WHITES[-1]:
        pictures = _read(directory, wanted._replace(white=white), skip_bad, report)
    return pictures, white if pictures.brightest else None  # all of them may be left out now


def _read(directory: Path, wanted: Wanted, skip_bad: bool, report: ReportCount) -> _FolderPictures:
    paths, skipped, brightest = find_pictures(directory), list[str](), list[int]()
    values: AnyArray | None = None
    files: list[Path] = []
    for file, picture in read_each(paths, lambda file: read_picture(file, wanted), skip_bad, skipped):
        pixels = picture.pixels
        if values is None:
            values = room_for((len(paths), *pixels.shape), pixels.dtype, directory)
        if pixels.shape != values.shape[1:]:
            raise InvalidInput(printable(file), _differ(pixels, files[0], values[0]))
        values[len(files)] = pixels
        files.append(file)
        if picture.brightest is not None:
            brightest.append(picture.brightest)
        report(len(files) + len(skipped), len(paths))
    if values is None:
        raise InvalidInput(printable(directory), f"none of its {len(paths)} pictures can be used: {skipped[0]}")
    # What follows was never written to, so takes no memory.
    return _FolderPictures(files, values[: len(files)], tuple(skipped), brightest)


def _about_bits(directory: Path, pictures: _FolderPictures, white: int) -> str:
    """Returns a line about pictures of more than 8 bits."""
    count, of, brightest = len(pictures.brightest), len(pictures.files), max(pictures.brightest)
    return (
        f"{printable(directory)}: {count} of {of} pictures have more than 8 bits a channel, with values up to "
        f"{brightest}: taken as {white.bit_length()} bits, so {white} is white, and scaled to 8"
    )


def _groups(directory: Path, files: list[Path], folders: list[tuple[str, ...]]) -> ClassLabels:
    """Returns the number of each picture's group, which is the folder that it lies in."""
    for file, parts in zip(files, folders, strict=True):
        if not parts:
            raise InvalidInput("--group-folders", f"{printable(file)} lies in no folder within {printable(directory)}")
    values, numbers = np.unique(["/".join(parts) for parts in folders], return_inverse=True)
    if len(values) == 1:
        raise InvalidInput("--group-folders", f"{printable(directory)}: all pictures lie in one folder")
    return numbers.astype(np.int64)


def _differ(picture: AnyArray, first: Path, other: AnyArray) -> str:
    if picture.shape[:2] != other.shape[:2]:
        sizes = [f"{array.shape[1]} x {array.shape[0]} pixels" for array in (picture, other)]
        return f"is {sizes[0]}, {printable(first)} is {sizes[1]}: bring all to one size, for example by --image-size 64"
    kinds = [colours(array.shape[2]) for array in (picture, other)]
    return f"is in {kinds[0]}, {printable(first)} in {kinds[1]}: bring all to one kind by --channels"
