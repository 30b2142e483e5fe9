"""A run's directory: where the package lies in it, and whether it is free."""

from pathlib import Path

from vaeserve.errors import TrainingError
from vaeserve.files import PARTIAL

PACKAGE_DIRECTORY = "model"
"""Where a run's directory keeps its package."""


def holds_nothing(directory: Path) -> bool:
    """Whether a directory is missing or empty; a file that a killed process was writing does not count.

    Raises:
        TrainingError: it cannot be read.
    """
    try:
        return not directory.is_dir() or all(path.name.endswith(PARTIAL) for path in directory.iterdir())
    except OSError as exc:
        raise TrainingError(f"{directory}: cannot be read: {exc.strerror}") from exc
