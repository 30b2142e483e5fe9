"""What a run was told about its data. Apart from `training.data`, so that reading settings brings no PyTorch."""

from typing import Literal, NamedTuple


class Source(NamedTuple):
    """Where rows come from and what is done to them before training; the fields of `Config` of the same names."""

    dataset: str
    data_dir: str | None = None
    validation_rows: int = 0
    binarised: bool = False
    image_size: tuple[int, int] | None = None
    image_fit: Literal["crop", "pad", "stretch", "exact"] = "crop"
    channels: Literal[1, 3] | None = None
    skip_bad: bool = False
