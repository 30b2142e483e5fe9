"""Repository: a directory that holds model packages. It finds them; whoever opens one verifies it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

from watchfiles import awatch

from vae.errors import PackageError
from vae.manifest import MANIFEST_FILE
from vae.package import read_manifest

_log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0  # some file systems, shared ones above all, tell nothing of what others change
_QUIET_MILLISECONDS, _MOST_MILLISECONDS = 100, 1600  # changes come in flocks: one look for each flock

Key = tuple[str, int]
"""A model's name and version."""
Stamp = tuple[tuple[str, int, int, int], ...]
"""Name, inode, size and time of change of each file: another stamp, another package."""


class Found(NamedTuple):
    """A package that was found."""

    directory: Path
    key: Key
    stamp: Stamp


class Unreadable(NamedTuple):
    """A directory that cannot be looked into, or whose manifest is not understood."""

    directory: Path
    stamp: Stamp
    reason: str


class Look(NamedTuple):
    """What a repository held when it was looked into."""

    packages: list[Found]
    unreadable: list[Unreadable]


def look(directory: Path) -> Look:
    """Finds the package that `directory` is, or every one below it. Dot-named directories are passed over.

    Links are followed; a package that is reached on several paths is found once.
    """
    found = list(_walk(directory, set()))
    if not directory.is_dir():
        found = [Unreadable(directory, (), f"{directory} is no directory")]
    return Look([one for one in found if isinstance(one, Found)], [one for one in found if isinstance(one, Unreadable)])


async def changes(directory: Path, look_seconds: float = LOOK_SECONDS) -> AsyncIterator[None]:
    """Yields when something below a directory may have changed: at once, soon after it did, and every few seconds."""
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    while True:
        # A new watch each time: the directory itself may have been exchanged, and the old watch went with the old one.
        told = asyncio.ensure_future(_change(directory, look_seconds))
        try:
            await asyncio.sleep(0)  # now it watches: what came before is there to be seen, what comes will be told
            yield
            await told
        except (OSError, RuntimeError) as exc:  # the directory is away for a moment, or the system has no watch left
            _log.debug("%s is not watched: %s", directory, exc)
            await asyncio.sleep(look_seconds)
        finally:
            told.cancel()


async def _change(directory: Path, look_seconds: float) -> None:
    """Returns after a change, or after a while; raises what watchfiles does."""
    watch = awatch(
        directory,
        watch_filter=None,
        debounce=_MOST_MILLISECONDS,
        step=_QUIET_MILLISECONDS,
        rust_timeout=round(look_seconds * 1000),
        yield_on_timeout=True,
    )
    async with aclosing(watch):
        await anext(watch)


def _walk(directory: Path, seen: set[Path]) -> Iterator[Found | Unreadable]:
    try:
        place = directory.resolve()
        if place in seen:
            return
        seen.add(place)
        if (directory / MANIFEST_FILE).exists():
            yield _read(directory)
            return
        below = sorted(entry for entry in directory.iterdir() if not entry.name.startswith(".") and entry.is_dir())
    except OSError as exc:
        if not isinstance(exc, FileNotFoundError):  # that was removed just now
            yield Unreadable(directory, (), f"{directory}: cannot be read: {exc.strerror}")
        return
    for entry in below:
        yield from _walk(entry, seen)


def _read(directory: Path) -> Found | Unreadable:
    stamp: Stamp = (_stamp_of(directory / MANIFEST_FILE),)  # before it is read: if another comes, it fits neither
    try:
        manifest = read_manifest(directory)
    except PackageError as exc:
        return Unreadable(directory, stamp, str(exc))
    stamp += tuple(_stamp_of(directory / file.file) for file in manifest.files)
    return Found(directory, (manifest.name, manifest.version), stamp)


def _stamp_of(path: Path) -> tuple[str, int, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return path.name, 0, 0, 0  # whoever opens the package says what is wrong with it
    return path.name, stat.st_ino, stat.st_size, stat.st_mtime_ns
