"""Source: what a run is told about its data."""

from typing import Literal, NamedTuple, get_args

from vae.errors import TrainingError

Kind = Literal["digits", "mnist", "pictures", "arrays", "columns"]
"""Who reads it."""

ImageFit = Literal["crop", "pad", "stretch", "exact"]
CHANNELS = (1, 3)


class Source(NamedTuple):
    """Where data comes from and how it is to be read."""

    dataset: str
    """digits, mnist, fashion-mnist, a folder of pictures, or a file: .npy, .npz, .csv or .parquet."""
    data_dir: str | None = None
    """Folder of the four original files of mnist or fashion-mnist, packed or not; without it they are downloaded."""
    validation_rows: int = 0
    """Taken from the training rows; the same ones for every seed."""
    binarised: bool = False
    """Images become black and white: test and validation rows once, training rows anew at every step."""
    image_size: tuple[int, int] | None = None
    """(height, width) in pixels, which every picture of a folder is brought to; without it all must have one size."""
    image_fit: str = "crop"
    """How: crop what sticks out around the centre, pad with black, stretch, or (exact) refuse other sizes."""
    channels: int | None = None
    """1 makes pictures grey, 3 colour; without it all must be of one kind."""
    skip_bad: bool = False
    """Leave out what is bad, and list it, instead of refusing all."""


_ONLY_FOR: dict[str, tuple[Kind, ...]] = {
    "data_dir": ("mnist",),
    "image_size": ("pictures",),
    "image_fit": ("pictures",),
    "channels": ("pictures",),
}
_MEANT_FOR: dict[Kind, str] = {"mnist": "mnist and fashion-mnist", "pictures": "a folder of pictures"}


def check_source(source: Source, kind: Kind) -> None:
    """Makes sure that a source contradicts neither itself nor the kind of its data.

    Raises:
        TrainingError: a setting is out of range or would have no effect; the message names its flag.
    """
    for key, kinds in _ONLY_FOR.items():
        if kind not in kinds and getattr(source, key) != Source._field_defaults[key]:
            raise TrainingError(f"{_flag(key)}: is for {_MEANT_FOR[kinds[0]]}, not for {source.dataset}")
    if source.validation_rows < 0:
        raise TrainingError(f"{_flag('validation_rows')}: must not be negative, is {source.validation_rows}")
    if source.image_fit not in get_args(ImageFit):
        raise TrainingError(f"{_flag('image_fit')}: must be one of {', '.join(get_args(ImageFit))}")
    if source.channels not in (None, *CHANNELS):
        raise TrainingError(f"{_flag('channels')}: must be 1 or 3, is {source.channels}")
    if source.image_size is not None and min(source.image_size) < 1:
        raise TrainingError(f"{_flag('image_size')}: must be at least 1 x 1")
    if source.image_fit == "exact" and source.image_size is None:
        raise TrainingError(f"{_flag('image_fit')}: exact needs {_flag('image_size')}")


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"
