"""Sources of batch jobs, made in a moment: pictures, tables, arrays. Only their sizes count; the numbers are random."""

import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from PIL import Image

FOLDER_PICTURES = 1000
SHAPE = (28, 28, 1)
VALUES = "pixels"
GROUP_ROWS = 8192


def pictures(folder: Path, rows: int, distinct: int = 1000) -> None:
    """Writes JPEGs of 64 x 64, a thousand in each folder. All but the first few are hard links to those."""
    noise = np.random.default_rng(0)
    for row in range(rows):
        path = picture_path(folder, row)
        path.parent.mkdir(parents=True, exist_ok=True)
        if row < distinct:
            coarse = Image.fromarray(noise.integers(0, 256, (12, 12, 3), np.uint8))
            coarse.resize((64, 64), Image.Resampling.BICUBIC).save(path, quality=90)
        else:
            path.hardlink_to(picture_path(folder, row % distinct))


def picture_path(folder: Path, row: int) -> Path:
    """Returns where a picture lies."""
    return folder / f"{row // FOLDER_PICTURES:05d}" / f"{row:07d}.jpg"


def table(path: Path, rows: int) -> None:
    """Writes Parquet with one column: lists of 784 bytes."""
    schema = pa.schema({VALUES: pa.list_(pa.uint8())})
    with pa.parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, GROUP_ROWS):
            values = _bytes(min(GROUP_ROWS, rows - start), seed=start)
            lists = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values[0].size)
            writer.write_table(pa.table({VALUES: lists.cast(pa.list_(pa.uint8()))}, schema))


def idx(path: Path, rows: int) -> None:
    """Writes images of 28 x 28 as MNIST's files hold them, uncompressed."""
    with path.open("wb") as file:
        file.write(struct.pack(">IIII", 0x0803, rows, *SHAPE[:2]))
        file.write(_bytes(rows).tobytes())


def array(path: Path, rows: int, shape: tuple[int, ...], maximum: int = 16) -> None:
    """Writes .npy of whole numbers from 0 to `maximum`."""
    np.save(path, np.random.default_rng(0).integers(0, maximum + 1, (rows, *shape), np.uint8))


def _bytes(rows: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Returns rows of which four values in five are 0, as in a digit."""
    noise = np.random.default_rng(seed)
    values = noise.integers(0, 256, (rows, *SHAPE), np.uint8)
    return values * (noise.random(values.shape) < 0.2)
