"""What a run was told about its data. Apart from `training.data`, so that reading settings brings no PyTorch."""

import stat
from pathlib import Path
from typing import Literal, NamedTuple

from vaeserve.errors import TrainingError
from vaeserve.package.manifest import Fit
from vaeserve.sources.names import quoted, shown

DataKind = Literal["digits", "mnist", "pictures", "arrays", "columns"]
"""Who reads it."""
KNOWN: dict[str, DataKind] = {"digits": "digits", "mnist": "mnist", "fashion-mnist": "mnist"}
_SUFFIXES: dict[str, DataKind] = {".npy": "arrays", ".npz": "arrays", ".csv": "columns", ".parquet": "columns"}


class Source(NamedTuple):
    """Where rows come from and what is done to them before training; the fields of `Config` of the same names."""

    dataset: str
    data_dir: str | None = None
    validation_rows: int = 0
    binarised: bool = False
    image_size: tuple[int, int] | None = None
    image_fit: Fit = "crop"
    channels: Literal[1, 3] | None = None
    skip_bad: bool = False


def kind_of(dataset: str) -> DataKind:
    """Returns what kind of data it is, by its name or by the file or folder that is there.

    Raises:
        TrainingError: there is no such data, or nobody reads it.
    """
    if dataset in KNOWN:
        return KNOWN[dataset]
    path = Path(dataset)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as exc:
        raise TrainingError(
            f"{quoted(dataset)}: there is no such file or folder; known by name are {', '.join(KNOWN)}"
        ) from exc
    except (OSError, ValueError) as exc:  # a ValueError for a name that no file can have
        raise TrainingError(f"{quoted(dataset)}: cannot be read: {getattr(exc, 'strerror', exc)}") from exc
    if stat.S_ISDIR(mode):
        return "pictures"
    if path.suffix.lower() not in _SUFFIXES or not stat.S_ISREG(mode):
        raise TrainingError(
            f"{shown(dataset)}: must be a folder of pictures, or a file that ends in {', '.join(_SUFFIXES)}"
        )
    return _SUFFIXES[path.suffix.lower()]


def flag_of(setting: str) -> str:
    """Returns what a person calls a setting on the command line."""
    return "DATA" if setting == "dataset" else f"--{setting.replace('_', '-')}"
