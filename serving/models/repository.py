"""Repository: a directory that holds model packages. It finds packages; whoever opens one verifies it.

The directory is polled, because no notification of changes works on every file system. A look costs a few `stat` calls
for each package, and is bounded.
"""

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from vaeserve.errors import PackageError
from vaeserve.package.directory import read_manifest
from vaeserve.package.manifest import MANIFEST_FILE, Manifest

_log = logging.getLogger(__name__)

_MINIMUM_PAUSE_SECONDS, _MAXIMUM_PAUSE_SECONDS = 0.5, 5.0  # between two looks
_LOOK_PART = 1 / 50  # of all time, unless the pause is at its maximum
_LONG_LOOK_SECONDS = 30.0
MAXIMUM_ENTRIES = 10_000
"""Maximum number of files and directories that one look lists; those inside packages do not count."""

ModelKey = tuple[str, int]
"""A model's name and version."""
FileStamp = tuple[str, int, int, int]
"""Name, inode, size and time of change of a file."""
Stamp = tuple[FileStamp, ...]
"""One for each file of a package. If the stamp changes, it is another package."""


class Found(NamedTuple):
    """A package that was found."""

    directory: Path
    key: ModelKey
    stamp: Stamp
    created_at: datetime


class Unreadable(NamedTuple):
    """A directory that cannot be read, or whose manifest is not understood."""

    directory: Path
    stamp: Stamp
    reason: str


class Look(NamedTuple):
    """What a repository held when it was looked into."""

    packages: list[Found]
    unreadable: list[Unreadable]


class _DirectoryIdentity(NamedTuple):
    """A directory: the path on which it was found, and where it really lies."""

    directory: Path
    real: Path


class Repository:
    """A directory that is a package, or has packages below it.

    Args:
        directory: where to look.
        maximum_entries: maximum number of files and directories that one look lists.
    """

    def __init__(self, directory: Path, maximum_entries: int = MAXIMUM_ENTRIES) -> None:
        self.directory = directory
        self.pause_seconds = _MINIMUM_PAUSE_SECONDS
        """Time to wait before the next look, so that looks take a small part of all time."""
        self._most_entries = maximum_entries
        self._manifests: dict[Path, tuple[FileStamp, Manifest | PackageError]] = {}  # by real path
        self._known = self._manifests  # as of the look before

    def forget(self) -> None:
        """Reads every manifest again at the next look."""
        self._manifests = {}

    async def look_on_thread(self) -> Look:
        """Looks without blocking the event loop. If the disk does not answer, the log says so."""
        began = time.monotonic()
        looking = asyncio.ensure_future(asyncio.to_thread(self.look))
        if not (await asyncio.wait({looking}, timeout=_LONG_LOOK_SECONDS))[0]:
            _log.error("the disk of %s does not answer: until it does, no package is taken", self.directory)
        found = await looking
        pause_seconds = (time.monotonic() - began) / _LOOK_PART
        self.pause_seconds = min(max(pause_seconds, _MINIMUM_PAUSE_SECONDS), _MAXIMUM_PAUSE_SECONDS)
        return found

    def look(self) -> Look:
        """Finds the package that the directory is, or every one below it. Dot-named directories are passed over.

        Links inside the directory are followed; one that leads out of it, only to a package. A package that is reached
        on several paths is found once.
        """
        if not self.directory.is_dir():
            return Look([], [Unreadable(self.directory, (), f"{self.directory} is not a directory")])
        self._known, self._manifests = self._manifests, {}
        found = list(self._walk())
        packages = [one for one in found if isinstance(one, Found)]
        return Look(packages, [one for one in found if isinstance(one, Unreadable)])

    def _walk(self) -> Iterator[Found | Unreadable]:
        """Goes from the top down, so that the deepest directories are the ones beyond the bound."""
        top = Path(os.path.realpath(self.directory))
        ahead, seen, left = deque([_DirectoryIdentity(self.directory, top)]), {top}, self._most_entries
        is_cut = False
        while ahead:
            place = ahead.popleft()
            try:
                if (place.directory / MANIFEST_FILE).exists():
                    yield self._read(place)
                    continue
                if not place.real.is_relative_to(top):
                    reason = f"is a link out of {self.directory} to {place.real}, which is not a package"
                    yield Unreadable(place.directory, (), f"{place.directory} {reason}")
                    continue
                with os.scandir(place.directory) as scan:
                    entries = list(islice(scan, left + 1))
            except FileNotFoundError:  # removed just now
                continue
            except OSError as exc:
                yield Unreadable(place.directory, (), f"{place.directory}: cannot be read: {exc.strerror}")
                continue
            is_cut |= len(entries) > left
            for below in _directories(place, entries[:left]):
                if below.real not in seen:
                    seen.add(below.real)
                    ahead.append(below)
            left -= len(entries[:left])
        if is_cut:
            reason = f"holds more than {self._most_entries} files and directories: the rest was not looked at"
            yield Unreadable(self.directory, (), f"{self.directory} {reason}")

    def _read(self, place: _DirectoryIdentity) -> Found | Unreadable:
        mark = _stamp_of(place.directory / MANIFEST_FILE)  # before the file is read, so that a change shows later
        known = self._known.get(place.real)
        manifest = known[1] if known and known[0] == mark else _manifest_of(place.directory)
        if isinstance(manifest, PackageError):
            if not isinstance(manifest.__cause__, OSError):  # that may pass without a new mark
                self._manifests[place.real] = mark, manifest
            return Unreadable(place.directory, (mark,), str(manifest))
        self._manifests[place.real] = mark, manifest
        stamp = (mark, *(_stamp_of(place.directory / file.file) for file in manifest.files))
        return Found(place.directory, (manifest.name, manifest.version), stamp, manifest.created_at)


def _directories(place: _DirectoryIdentity, entries: list[os.DirEntry[str]]) -> Iterator[_DirectoryIdentity]:
    """Yields those of a directory's entries that are directories, or links to directories."""
    for entry in sorted(entries, key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        path = Path(entry.path)
        if entry.is_symlink():
            if path.is_dir():
                yield _DirectoryIdentity(path, Path(os.path.realpath(path)))
        elif entry.is_dir():
            yield _DirectoryIdentity(path, place.real / entry.name)


def _manifest_of(directory: Path) -> Manifest | PackageError:
    try:
        return read_manifest(directory)
    except PackageError as exc:
        return exc


def _stamp_of(path: Path) -> FileStamp:
    try:
        stat = path.stat()
    except OSError:
        return path.name, 0, 0, 0  # whoever opens the package says what is wrong with it
    return path.name, stat.st_ino, stat.st_size, stat.st_mtime_ns
