"""A run's settings about data. They are apart from `training.data` because reading settings must not import PyTorch."""

import stat
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from vaeserve.command import setting_flags
from vaeserve.errors import TrainingError
from vaeserve.package.data_spec import Fit
from vaeserve.printable import printable
from vaeserve.records import Record
from vaeserve.sources.names import quoted

DataKind = Literal["digits", "mnist", "pictures", "arrays", "columns"]
"""Which reader takes the data."""
KNOWN: dict[str, DataKind] = {"digits": "digits", "mnist": "mnist", "fashion-mnist": "mnist"}
ImageSide = Annotated[int, Field(ge=1, le=65_536)]
Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(max_length=1000, strict=False)]
_SUFFIXES: dict[str, DataKind] = {".npy": "arrays", ".npz": "arrays", ".csv": "columns", ".parquet": "columns"}


def _square(size: object) -> object:
    """Returns a size of one number as height and width."""
    return (*size, *size) if isinstance(size, list | tuple) and len(size) == 1 else size


class Source(Record):
    """Where rows come from and what is done to them before training: the part of a run's settings about data."""

    model_config = ConfigDict(strict=True, use_attribute_docstrings=True)

    dataset: Annotated[str, Field(min_length=1)] = "digits"
    """digits, mnist, fashion-mnist, or the path of a folder of images or of a .npy, .npz, .csv or .parquet file."""
    data_dir: Annotated[str, Field(min_length=1)] | None = None
    """Folder of the original files of mnist or fashion-mnist; without it they are downloaded."""
    target: Annotated[str, Field(min_length=1)] | None = None
    """Column of a .csv or .parquet file that holds each row's class, not data."""
    drop: Names = ()
    """Columns of a .csv or .parquet file that are left out, by name."""
    train_classes: Names = ()
    """Classes to train on; all rows of the others are held out as anomalies, and the report says how well they show."""
    group_column: Annotated[str, Field(min_length=1)] | None = None
    """Column of a .csv or .parquet file that names each row's group; all of a group is in one part of the split."""
    group_folders: bool = False
    """Keep the pictures that lie in the same folder in one part of the split; folders above it name classes."""
    validation_rows: Annotated[int, Field(ge=0)] = 0
    """Rows taken from the training rows to choose settings on; no seed changes this split."""
    binarised: bool = False
    """Draw every pixel as on or off, with its grey level as probability: at every step anew, held-out rows once."""
    image_size: Annotated[tuple[ImageSide, ImageSide], Field(strict=False), BeforeValidator(_square)] | None = None
    """Height and width to which a folder's images are resized; one number: both."""
    image_fit: Fit = "crop"
    """How images are resized: crop, pad, stretch, or exact, which refuses images of another size."""
    channels: Literal[1, 3] | None = None
    """Channels of a folder's images: 1 for grey, 3 for colour; the default leaves them unchanged."""
    skip_bad: bool = False
    """Leave out, count and list what cannot be used, instead of refusing the data."""


def kind_of(dataset: str) -> DataKind:
    """Returns which kind of data it is, by its name, or by the file or folder of that name.

    Raises:
        TrainingError: there is no such data, or no reader takes it.
    """
    if dataset in KNOWN:
        return KNOWN[dataset]
    path = Path(dataset)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as exc:
        raise TrainingError(
            f"{quoted(dataset)}: there is no such file or folder; the data sets with names are {', '.join(KNOWN)}"
        ) from exc
    except (OSError, ValueError) as exc:  # a ValueError for a name that no file can have
        raise TrainingError(f"{quoted(dataset)}: cannot be read: {getattr(exc, 'strerror', exc)}") from exc
    if stat.S_ISDIR(mode):
        return "pictures"
    if path.suffix.lower() not in _SUFFIXES or not stat.S_ISREG(mode):
        raise TrainingError(
            f"{printable(dataset)}: must be a folder of pictures, or a file that ends in {', '.join(_SUFFIXES)}"
        )
    return _SUFFIXES[path.suffix.lower()]


def flag_of(setting: str) -> str:
    """Returns the name of a setting on the command line."""
    return "DATA" if setting == "dataset" else setting_flags.flag_of(setting)
