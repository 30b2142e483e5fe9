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
MAXIMUM = 2**31 - 1
VERSION_HELP = "version of the package: a number, or next, one more than the highest of the name beside DIR"


def _checked(version: object) -> int | str:
    if version == NEXT:
        return NEXT
    if isinstance(version, int) and not isinstance(version, bool) and 1 <= version <= MAXIMUM:
        return version
    raise ValueError(f"must be a whole number from 1 to {MAXIMUM}, or next, not {version!r}")


Version = Annotated[int | Literal["next"], PlainValidator(_checked)]


def read_version(text: str) -> int | str:
    """Returns the version that a flag's text means.

    Raises:
        ArgumentTypeError: the text is not a version.
    """
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(MAXIMUM)) else text
    try:
        return _checked(number)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def number_of(version: int | str, out: Path, name: str) -> int:
    """Returns a version's number; for `next`, one more than the highest beside `out`, or 1.

    Args:
        version: a number, or `next`.
        out: the future directory of the package or of the run. Packages beside it count, and runs' packages too.
        name: of the model.
    """
    if isinstance(version, int):
        return version
    return 1 + max(_versions_beside(out.resolve(), name), default=0)


def _versions_beside(out: Path, name: str) -> Iterator[int]:
    with suppress(OSError):  # nothing lies beside it yet, or it cannot be read
        for entry in sorted(out.parent.iterdir()):
            if entry == out or entry.name.startswith("."):
                continue
            for directory in (entry, entry / PACKAGE_DIRECTORY):
                with suppress(PackageError):  # it is not a package
                    manifest = read_manifest(directory)
                    if manifest.name == name:
                        yield manifest.version
