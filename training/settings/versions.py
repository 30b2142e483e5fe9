"""Versions of packages: a number, or the next one after those of the same name beside a package."""

import argparse
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import PlainValidator

from training.settings.directory import PACKAGE_DIRECTORY
from vaeserve.errors import PackageError
from vaeserve.package.directory import read_manifest

NEXT = "next"
MOST = 2**31 - 1
VERSION_HELP = "version of the package: a number, or next, one more than the highest of the name beside DIR"


def _checked(version: object) -> int | str:
    if version == NEXT:
        return NEXT
    if isinstance(version, int) and not isinstance(version, bool) and 1 <= version <= MOST:
        return version
    raise ValueError(f"must be a whole number from 1 to {MOST}, or next, not {version!r}")


Version = Annotated[int | Literal["next"], PlainValidator(_checked)]


def read_version(text: str) -> int | str:
    """Returns the version that a flag names.

    Raises:
        ArgumentTypeError: it names none.
    """
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(MOST)) else text
    try:
        return _checked(number)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def number_of(version: int | str, out: Path, name: str) -> int:
    """Returns a version's number; of `next` it is one more than the highest beside, or 1.

    Args:
        version: what was asked for.
        out: a package's directory to be, or a run's. Packages beside it count, and those of runs beside it.
        name: of the model.
    """
    if isinstance(version, int):
        return version
    return 1 + max(_versions_beside(out.resolve(), name), default=0)


def _versions_beside(out: Path, name: str) -> Iterator[int]:
    with suppress(OSError):  # nothing is beside it yet, or nothing that can be looked at
        for entry in sorted(out.parent.iterdir()):
            if entry == out or entry.name.startswith("."):
                continue
            for directory in (entry, entry / PACKAGE_DIRECTORY):
                with suppress(PackageError):  # it is not a package
                    manifest = read_manifest(directory)
                    if manifest.name == name:
                        yield manifest.version
