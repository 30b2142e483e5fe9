"""Which settings of a source have an effect on which kind of data."""

from math import prod

from training.settings.source import DataKind, Source, flag_of
from vaeserve.errors import TrainingError
from vaeserve.sources.picture import MOST_PIXELS

_ONLY_FOR: dict[str, tuple[DataKind, ...]] = {
    "data_dir": ("mnist",),
    "target": ("columns",),
    "drop": ("columns",),
    "group_column": ("columns",),
    "group_folders": ("pictures",),
    "image_size": ("pictures",),
    "image_fit": ("pictures",),
    "channels": ("pictures",),
    "skip_bad": ("pictures", "arrays", "columns"),
}
_CALLED: dict[DataKind, str] = {
    "mnist": "mnist and fashion-mnist",
    "pictures": "a folder of pictures",
    "arrays": "a file of arrays",
    "columns": "a file of columns",
}


def check_settings(source: Source, kind: DataKind) -> None:
    """Makes sure that every setting has an effect.

    Raises:
        TrainingError: one does not fit the kind of data, or another setting; the message names its flag.
    """
    for key, only in _ONLY_FOR.items():
        if kind not in only and getattr(source, key) != Source.model_fields[key].default:
            meant = " or ".join(_CALLED[each] for each in only)
            raise TrainingError(f"{flag_of(key)}: is for {meant}, not for {source.dataset}")
    if source.binarised and kind == "columns":
        raise TrainingError(f"--binarised: is for images, not for {source.dataset}")
    if source.image_fit != Source.model_fields["image_fit"].default and source.image_size is None:
        raise TrainingError(f"--image-fit: {source.image_fit} needs --image-size")
    if source.image_size is not None and prod(source.image_size) > MOST_PIXELS:
        height, width = source.image_size
        raise TrainingError(f"--image-size: {height} x {width} pixels are more than the {MOST_PIXELS} of any picture")
