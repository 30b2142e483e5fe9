import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec, ImageFit
from vaeserve.sources.pictures import find_pictures, picture_files, read_rows

RANDOM = np.random.default_rng(0)
PICTURES = RANDOM.integers(0, 256, (3, 4, 5, 3), np.uint8)
NAMES = ["a/1.png", "a/2.PNG", "z"]


def spec(dtype: str = "uint8", fit: ImageFit | None = None, **change: object) -> DataSpec:
    values = {"kind": "image", "shape": (4, 5, 3), "dtype": dtype, "minimum": 0, "maximum": 255, "image_fit": fit}
    return DataSpec.model_validate(values | change)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "faces"
    for name, picture in zip(NAMES, PICTURES, strict=True):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(root / name, "PNG")
    return root


def test_the_order_is_not_that_of_the_disk(tmp_path: Path) -> None:
    names = [f"{number:02}.png" for number in range(40)]
    for number in RANDOM.permutation(40):
        (tmp_path / names[number]).touch()
    assert [path.name for path in find_pictures(tmp_path)] == names


def test_what_is_no_picture_is_passed_over(folder: Path) -> None:
    (folder / "README.md").write_text("faces")
    (folder / ".hidden.png").write_text("thumbnail")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "a.png").write_text("thumbnail")
    os.mkfifo(folder / "pipe")
    assert [str(path.relative_to(folder)) for path in find_pictures(folder)] == NAMES


def test_links_lead_out_but_not_in_circles(folder: Path, tmp_path: Path) -> None:
    (folder / "circle").symlink_to(folder)
    (tmp_path / "elsewhere").mkdir()
    Image.fromarray(PICTURES[0]).save(tmp_path / "elsewhere" / "more.png")
    (folder / "y").symlink_to(tmp_path / "elsewhere")
    assert len(find_pictures(folder)) == 4


def test_without_a_fit_the_files_themselves_are_the_rows(folder: Path) -> None:
    found = read_rows(picture_files([folder]), spec())
    assert found.rows == [(folder / name).read_bytes() for name in NAMES]
    assert ([str(file.relative_to(folder)) for file in found.files], found.skipped) == (NAMES, ())
    with pytest.raises(InvalidInput, match=r"a/1\.png: is 5 x 4 pixels, must be 5 x 5"):
        read_rows(picture_files([folder]), spec(shape=(5, 5, 3)))
    Image.new("RGBA", (5, 4), (1, 2, 3, 100)).save(folder / "clear.png")
    with pytest.raises(InvalidInput, match=r"faces/clear\.png: has transparent pixels, the model has no alpha"):
        read_rows(picture_files([folder]), spec())


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_with_a_fit_rows_are_the_pixels_in_the_range_of_the_model(folder: Path, dtype: str) -> None:
    model = spec(dtype, ImageFit(fit="exact"), minimum=0, maximum=255 if dtype == "uint8" else 1)
    found = read_rows(picture_files([folder / "z", folder]), model).rows
    assert isinstance(found, np.ndarray)
    assert found.dtype == dtype
    scale = 1 if dtype == "uint8" else 255
    np.testing.assert_allclose(found * scale, PICTURES[[2, 0, 1, 2]], rtol=1e-6)


def test_colours_are_converted_where_the_model_was_trained_so_and_else_refused(folder: Path) -> None:
    grey, files = (4, 5, 1), picture_files([folder])
    found = read_rows(files, spec(fit=ImageFit(fit="crop", channels=1), shape=grey)).rows
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found[0][..., 0], np.asarray(Image.fromarray(PICTURES[0]).convert("L")))
    with pytest.raises(InvalidInput, match=r"a/1\.png: is in colour, must be in grey$"):
        read_rows(files, spec(fit=ImageFit(fit="crop"), shape=grey))


@pytest.mark.parametrize("fit", [None, ImageFit(fit="crop")])
def test_bad_pictures_are_refused_or_listed(folder: Path, fit: ImageFit | None) -> None:
    (folder / "a" / "0.png").write_bytes(b"broken")
    line = f"{folder}/a/0.png: is not a PNG, JPEG{' or WebP' if fit is None else ', WebP or TIFF'}"
    with pytest.raises(InvalidInput, match=f"^{line}$"):
        read_rows(picture_files([folder]), spec(fit=fit))
    found = read_rows(picture_files([folder]), spec(fit=fit), skip_bad=True)
    assert (len(found.rows), len(found.files), found.skipped) == (3, 3, (line,))
    with pytest.raises(InvalidInput, match=f"none of 1 pictures can be used: {line}"):
        read_rows([folder / "a" / "0.png"], spec(fit=fit), skip_bad=True)


def test_what_is_given_must_be_pictures(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(InvalidInput, match=rf"^{tmp_path}: holds no pictures \(PNG, JPEG, WebP or TIFF\)$"):
        picture_files([tmp_path])
    with pytest.raises(InvalidInput, match=r"notes\.txt: must be a picture"):
        picture_files([tmp_path / "notes.txt"])
