import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training.data import load_dataset
from training.settings.source import Source
from vaeserve.errors import TrainingError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (200, 3, 4, 1), np.uint8)
TABLE = RANDOM.normal(size=(200, 3))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    np.savez(tmp_path / "My faces.npz", X=IMAGES, y=np.arange(200) % 4)
    return tmp_path / "My faces.npz"


def test_every_row_lands_in_one_part_with_its_label(images: Path) -> None:
    found = load_dataset(Source(dataset=str(images), validation_rows=30))
    assert (found.name, found.family, found.binarised) == ("My-faces", "gaussian", False)
    assert found.title == "200 images of 4 x 3 pixels in grey (My faces.npz: X, classes y)"
    assert [len(part) for part in (found.train, found.validation, found.test)] == [150, 30, 20]
    assert found.labels is not None
    place = {row.tobytes(): number for number, row in enumerate(IMAGES)}
    seen = []
    for rows, labels in zip((found.train, found.validation, found.test), found.labels, strict=True):
        numbers = [place[row.tobytes()] for row in rows.numpy()]
        assert labels.tolist() == [number % 4 for number in numbers]
        seen += numbers
    assert sorted(seen) == list(range(200))


def test_without_validation_rows_that_part_is_empty(images: Path) -> None:
    found = load_dataset(Source(dataset=str(images)))
    assert found.validation.shape == (0, 3, 4, 1)
    again = load_dataset(Source(dataset=str(images), validation_rows=30))
    assert torch.equal(found.test, again.test)


def test_binarised_rows_are_held_out_in_black_and_white_and_trained_on_in_grey(images: Path) -> None:
    grey = load_dataset(Source(dataset=str(images), validation_rows=30))
    found = load_dataset(Source(dataset=str(images), validation_rows=30, binarised=True))
    assert torch.equal(found.train, grey.train)
    assert (found.binarised, found.family, found.sha256) == (True, "bernoulli", grey.sha256)
    for drawn, rows in ((found.validation, grey.validation), (found.test, grey.test)):
        assert set(drawn.flatten().tolist()) == {0, 255}
        assert not ((drawn == 255) & (rows == 0)).any()
        assert not ((drawn == 0) & (rows == 255)).any()
    # The test rows that figures are reported on do not depend on what is set aside for validation.
    assert torch.equal(load_dataset(Source(dataset=str(images), binarised=True)).test, found.test)


def test_other_rows_another_shape_and_another_split_are_other_data(tmp_path: Path) -> None:
    flat = IMAGES.reshape(200, 12)
    files = {
        "whole": {"X": IMAGES},
        "table": {"X": flat},
        "moved": {"X": IMAGES[::-1]},
        "split": {"x_train": IMAGES[:150], "x_test": IMAGES[150:]},
        "later": {"x_train": IMAGES[:160], "x_test": IMAGES[160:]},
        "three": {"x_train": IMAGES[:150], "x_val": IMAGES[150:160], "x_test": IMAGES[160:]},
    }
    found = set()
    for name, arrays in files.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)  # type: ignore[arg-type]
        found.add(load_dataset(Source(dataset=str(tmp_path / f"{name}.npz"))).sha256)
    assert len(found) == len(files)
    np.savez(tmp_path / "again.npz", X=IMAGES)
    assert load_dataset(Source(dataset=str(tmp_path / "again.npz"))).sha256 in found


@pytest.mark.parametrize("suffix", [".npy", ".csv"])
def test_tables_are_split_too(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"t{suffix}"
    np.save(path, TABLE) if suffix == ".npy" else np.savetxt(path, TABLE, delimiter=",")
    found = load_dataset(Source(dataset=str(path)))
    assert (found.train.shape, found.test.shape, found.labels) == ((180, 3), (20, 3), None)
    assert (found.title, found.name) == (f"200 rows of 3 numbers (t{suffix})", "t")
    with pytest.raises(TrainingError, match=r"^--binarised: is for images, not for .*/t\."):
        load_dataset(Source(dataset=str(path), binarised=True))


def test_a_column_may_not_be_constant(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.c_[TABLE, np.ones(200)])
    with pytest.raises(TrainingError, match=r"t\.npy: column 3 is 1 in every row to train on; --skip-bad"):
        load_dataset(Source(dataset=str(tmp_path / "t.npy")))
    found = load_dataset(Source(dataset=str(tmp_path / "t.npy"), skip_bad=True))
    assert (found.spec.shape, found.skipped) == ((3,), ("t.npy: column 3 is 1 in every row to train on",))
    assert found.title == "200 rows of 3 numbers (t.npy)"


def test_classes_of_folders_keep_their_shares(tmp_path: Path) -> None:
    for number, row in enumerate(IMAGES):
        place = tmp_path / "animals" / ("cat", "dog", "dog", "dog")[number % 4]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(row[..., 0]).save(place / f"{number:03}.png")
    found = load_dataset(Source(dataset=str(tmp_path / "animals"), validation_rows=40))
    assert found.labels is not None
    assert found.classes == ("cat", "dog")
    for part, rows in zip(found.labels, (140, 40, 20), strict=True):
        assert part.bincount().tolist() == [rows // 4, rows - rows // 4]
    cats = {row.tobytes() for row in IMAGES[::4]}
    assert [row.numpy().tobytes() in cats for row in found.test] == (found.labels.test == 0).tolist()


@pytest.mark.parametrize("suffix", ["", ".npy"])
@pytest.mark.parametrize("level", [0, 7])
def test_images_that_are_all_alike_are_refused(level: int, suffix: str, tmp_path: Path) -> None:
    path, images = tmp_path / f"flat{suffix}", np.full((50, 4, 3), level, np.uint8)
    if suffix:
        np.save(path, images)
    else:
        path.mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(path / f"{number}.png")
    with pytest.raises(
        TrainingError, match=rf"^{path}: all 45 images to train on are alike: there is nothing to learn$"
    ):
        load_dataset(Source(dataset=str(path)))


def test_images_of_two_levels_come_with_a_hint(tmp_path: Path) -> None:
    np.save(tmp_path / "ink.npy", (IMAGES > 99) * np.uint8(255))
    found = load_dataset(Source(dataset=str(tmp_path / "ink.npy")))
    assert [note.partition(": --binarised")[0] for note in found.notes] == ["ink.npy: every pixel is 0 or 255"]
    assert load_dataset(Source(dataset=str(tmp_path / "ink.npy"), binarised=True)).notes == ()
    np.save(tmp_path / "ink.npy", IMAGES > 99)
    assert load_dataset(Source(dataset=str(tmp_path / "ink.npy"))).notes == ()
    np.save(tmp_path / "grey.npy", IMAGES)
    assert load_dataset(Source(dataset=str(tmp_path / "grey.npy"))).notes == ()


def test_what_was_left_out_is_listed_without_the_way_to_it(tmp_path: Path) -> None:
    (tmp_path / "faces" / "a").mkdir(parents=True)
    for number, row in enumerate(IMAGES[:50]):
        Image.fromarray(row[..., 0]).save(tmp_path / "faces" / f"{number}.png")
    (tmp_path / "faces" / "a" / "b.png").write_text("broken")
    found = load_dataset(Source(dataset=str(tmp_path / "faces"), skip_bad=True))
    assert found.skipped == ("faces/a/b.png: is not a PNG, JPEG or WebP",)
    assert found.title == "50 images of 4 x 3 pixels in grey (faces)"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "nowhere.csv",
            "'nowhere.csv': there is no such file or folder; the data sets with names are digits, mnist, fashion-mnist",
        ),
        ("a\0b", "'a.x00b': cannot be read"),
        ("x" * 5000, "'x+...': cannot be read: File name too long"),
        ("notes.txt", "notes.txt: must be a folder of pictures, or a file that ends in .npy, .npz, .csv, .parquet"),
        ("pipe.csv", "pipe.csv: must be a folder of pictures, or a file"),
    ],
)
def test_what_is_no_data_is_refused(name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("nothing")
    os.mkfifo("pipe.csv")
    with pytest.raises(TrainingError, match=f"^{said}"):
        load_dataset(Source(dataset=name))


def test_a_setting_that_would_have_no_effect_is_refused() -> None:
    with pytest.raises(TrainingError, match="--channels: is for a folder of pictures, not for digits"):
        load_dataset(Source(dataset="digits", channels=1))
