"""Pictures to try a pair on, at any size: those of a folder or of an array, or made ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps
from torch import Tensor

from vaeserve.errors import InvalidInput, TrainingError
from vaeserve.files import read_array
from vaeserve.package.sizes import PictureSize
from vaeserve.printable import printable
from vaeserve.sources.picture import Wanted, read_picture
from vaeserve.sources.pictures import find_pictures

Pixels = npt.NDArray[np.uint8]  # [height, width, channels]

SHAPES = 6  # on a made picture


class Pictures(NamedTuple):
    """Where pictures come from."""

    channels: int
    files: Sequence[Path] = ()
    array: npt.NDArray[np.uint8] | None = None
    """[rows, height, width, channels]"""

    @property
    def are_real(self) -> bool:
        """Whether they were given."""
        return bool(self.files) or self.array is not None

    def at(self, size: PictureSize, rows: int) -> Tensor:
        """Returns pictures of a size, cropped and resized to it: uint8 [rows, height, width, channels].

        Fewer than asked for where so few were given.

        Raises:
            InvalidInput: a picture cannot be read.
        """
        if self.files:
            wanted = Wanted(size, "crop", 1 if self.channels == 1 else 3)
            read = [read_picture(file, wanted).pixels for file in self.files[:rows]]
        elif self.array is not None:
            read = [_fitted(row, size) for row in self.array[:rows]]
        else:
            read = [made_picture(size, self.channels, seed) for seed in range(rows)]
        return torch.from_numpy(np.stack(read))


def open_pictures(path: Path | None, channels: int) -> Pictures:
    """Returns the pictures of a folder or of a `.npy` file; made ones for None.

    Raises:
        InvalidInput: named by the path; there are none, or they cannot be read.
        TrainingError: the pair takes other channels.
    """
    if path is None:
        return Pictures(channels)
    if path.is_dir():
        if channels not in (1, 3):
            raise TrainingError(f"--rows: pictures are in grey or colour, and the pair takes {channels} channels")
        return Pictures(channels, files=find_pictures(path))
    array = read_array(path)
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] != channels or not array.size:
        shape = f"{array.dtype} {list(array.shape)}"
        raise InvalidInput(printable(path), f"is {shape}, must be uint8 [rows, height, width, {channels}]")
    return Pictures(channels, array=array)


def made_picture(size: PictureSize, channels: int, seed: int) -> Pixels:
    """Returns a picture of smooth shades, shapes with sharp edges, and a little noise; a seed always gives the same."""
    random = np.random.default_rng(seed)
    high, wide = np.mgrid[0 : 1 : size.height * 1j, 0 : 1 : size.width * 1j]
    slopes = random.normal(0, 90, (2, channels))
    shades = 127.5 + (high[..., None] - 0.5) * slopes[0] + (wide[..., None] - 0.5) * slopes[1]
    for middle_high, middle_wide, reach in random.uniform(0.05, 0.95, (SHAPES, 3)):
        is_inside = np.hypot(high - middle_high, wide - middle_wide) < reach / 4
        if random.random() < 0.5:
            is_inside = (abs(high - middle_high) < reach / 4) & (abs(wide - middle_wide) < reach / 5)
        shades[is_inside] = random.uniform(0, 255, channels)
    shades += random.normal(0, 6, shades.shape)
    pixels: Pixels = shades.clip(0, 255).astype(np.uint8)
    return pixels


def _fitted(row: Pixels, size: PictureSize) -> Pixels:
    """Returns a row of an array, cropped and resized channel by channel."""
    target = (size.width, size.height)
    parts = [
        ImageOps.fit(Image.fromarray(channel), target, Image.Resampling.LANCZOS) for channel in row.transpose(2, 0, 1)
    ]
    return np.stack([np.asarray(part) for part in parts], axis=-1)
