"""Swaps two directories, in one step where the system supports it."""

from collections.abc import Callable
from pathlib import Path

from vaeserve.files import exchange


def swap(staging: Path, directory: Path, exchange: Callable[[Path, Path], bool] = exchange) -> None:
    """Swaps two directories.

    Where `exchange` is not supported, this takes two renames. If the process is killed between them, `directory` is
    missing, and its old content lies beside it under a dot-name that ends in `.old`.

    Raises:
        OSError: the disk refuses it.
    """
    if exchange(staging, directory):
        return
    aside = staging.with_name(f"{staging.name}.old")
    directory.replace(aside)
    try:
        staging.replace(directory)
    except OSError:
        aside.replace(directory)
        raise
    aside.replace(staging)
