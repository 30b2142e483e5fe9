"""Pictures of many sizes, of random pixels."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZES = ((96, 64), (64, 96), (64, 64), (100, 60), (70, 70), (65, 95), (300, 200), (30, 30))
"""Width and height of each picture."""


def write_photo(path: Path, width: int, height: int, seed: int) -> None:
    """Writes one picture."""
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels.astype(np.uint8)).save(path)


def write_photos(folder: Path) -> Path:
    """Writes a picture of each size, called 0.png and so on. Returns the folder."""
    for number, (width, height) in enumerate(SIZES):
        write_photo(folder / f"{number}.png", width, height, number)
    return folder
