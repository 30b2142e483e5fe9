"""Refusals: the packages that cannot be served, and why. Each is logged once."""

import logging
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from serving.models.repository import Stamp
from vaeserve.errors import PackageError, StartupError, VaeError

_log = logging.getLogger(__name__)


class _RefusedPackage(NamedTuple):
    stamp: Stamp | None
    """Of the package that was tried; None if another package has its name and version."""
    error: VaeError


class Refusals:
    """The last refusal of each directory.

    Args:
        counts: where refusals are counted, by the model's name.
    """

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._refusals: dict[Path, _RefusedPackage] = {}
        self.are_logged = False
        """Whether refusals are logged as they come."""

    def add(self, directory: Path, name: str, stamp: Stamp | None, error: VaeError) -> None:
        """Refuses a directory's package. A refusal like the last one is neither counted nor logged again."""
        before = self._refusals.get(directory)
        self._refusals[directory] = _RefusedPackage(stamp, error)
        if before and (before.stamp, str(before.error)) == (stamp, str(error)):
            return
        self._counts[name] += 1
        if self.are_logged:
            _log_refusal(directory, error)

    def __len__(self) -> int:
        """Returns how many directories hold a package that is refused now."""
        return len(self._refusals)

    def remove(self, directory: Path) -> None:
        """Forgets the refusal of a directory, whose package is served now."""
        self._refusals.pop(directory, None)

    def keep(self, directories: Collection[Path]) -> None:
        """Forgets the refusals of all other directories."""
        self._refusals = {at: refusal for at, refusal in self._refusals.items() if at in directories}

    def clear(self) -> None:
        """Forgets every refusal, so that the packages are tried again."""
        self._refusals.clear()

    def log(self) -> None:
        """Logs what was refused so far, and from now on what is refused. A second call does nothing."""
        if self.are_logged:
            return
        self.are_logged = True
        for directory, refusal in self._refusals.items():
            _log_refusal(directory, refusal.error)

    def has(self, directory: Path, stamp: Stamp | None) -> bool:
        """Whether a directory's package was refused, and has not changed."""
        refusal = self._refusals.get(directory)
        return refusal is not None and refusal.stamp == stamp

    def covers(self, directory: Path) -> bool:
        """Whether a directory holds a bad package now, or a directory above it cannot be read."""
        return any(directory.is_relative_to(refused) for refused in self._refusals)

    def as_error(self, place: Path) -> VaeError:
        """Returns the error for a place where no package can be served.

        It is a StartupError if there was one, because then no package is at fault.
        """
        errors = {str(refusal.error): refusal.error for refusal in self._refusals.values()}
        for error in errors.values():
            if isinstance(error, StartupError):
                return error
        if not errors:
            return PackageError(f"{place} is not a model package: cannot read manifest.json, and none lies below it")
        if len(errors) == 1:
            return next(iter(errors.values()))
        return PackageError(f"no package of {len(self._refusals)} can be served: {'; '.join(errors)}")


def _log_refusal(directory: Path, error: VaeError) -> None:
    _log.error("%s is not taken, what is served stays: %s", directory, error)
