from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.imports.pictures import made_picture, open_pictures
from vaeserve.errors import InvalidInput, TrainingError
from vaeserve.package.sizes import PictureSize

SIZE = PictureSize(24, 16)


def test_made_pictures_repeat_and_differ() -> None:
    pictures = open_pictures(None, 3)
    rows = pictures.at(SIZE, 3).numpy()
    assert (rows.shape, rows.dtype.name, pictures.are_real) == ((3, 24, 16, 3), "uint8", False)
    np.testing.assert_array_equal(rows[1], made_picture(SIZE, 3, 1))
    assert len({row.tobytes() for row in rows}) == 3
    assert all(row.std() > 10 for row in rows)


def test_pictures_of_a_folder_are_brought_to_the_size(tmp_path: Path) -> None:
    for number, size in enumerate([(40, 30), (100, 200)]):
        Image.new("RGB", size, (10 * number, 0, 0)).save(tmp_path / f"{number}.png")
    pictures = open_pictures(tmp_path, 3)
    assert pictures.are_real
    assert pictures.at(SIZE, 5)[:, 3, 3, 0].tolist() == [0, 10]


def test_rows_of_an_array_are_brought_to_the_size(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.full((3, 50, 40, 3), 7, np.uint8))
    rows = open_pictures(tmp_path / "rows.npy", 3).at(SIZE, 2)
    assert rows.shape == (2, 24, 16, 3)
    assert (rows == 7).all()


def test_other_arrays_and_channels_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((3, 50, 40), np.float32))
    with pytest.raises(InvalidInput, match=r"is float32 \[3, 50, 40\], must be uint8 \[rows, height, width, 3\]"):
        open_pictures(tmp_path / "rows.npy", 3)
    with pytest.raises(TrainingError, match="the pair takes 4 channels"):
        open_pictures(tmp_path, 4)
