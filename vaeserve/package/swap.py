"""Two directories change places, at once where the system can do that."""

from collections.abc import Callable
from pathlib import Path

from vaeserve.files import exchange


def swap(staging: Path, directory: Path, exchange: Callable[[Path, Path], bool] = exchange) -> None:
    """Gives two directories each other's place.

    Where `exchange` is not offered it takes two renames. A process killed between them leaves no `directory`; what it
    held then lies beside it, under a dot-name that ends in `.old`.

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
