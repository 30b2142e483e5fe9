import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training.data import binary, load_dataset, training_rows
from training.settings.source import Source
from vaeserve.errors import TrainingError
from vaeserve.sources import room

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


@pytest.mark.parametrize("binarised", [False, True])
def test_rows_on_disk_are_those_in_memory_bit_for_bit(
    images: Path, monkeypatch: pytest.MonkeyPatch, binarised: bool
) -> None:
    source = Source(dataset=str(images), validation_rows=30, binarised=binarised)
    in_memory = load_dataset(source)
    monkeypatch.setattr(room, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(binary, "PART_ROWS", 7)
    on_disk = load_dataset(source)
    assert on_disk.sha256 == in_memory.sha256
    for rows, expected in zip(
        (on_disk.train, on_disk.validation, on_disk.test, training_rows(on_disk)),
        (in_memory.train, in_memory.validation, in_memory.test, training_rows(in_memory)),
        strict=True,
    ):
        assert torch.equal(rows, expected)


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
    images = RANDOM.integers(0, 256, (200, 8, 8, 1), np.uint8)  # so large that no two are alike
    np.save(tmp_path / "ink.npy", (images > 99) * np.uint8(255))
    found = load_dataset(Source(dataset=str(tmp_path / "ink.npy")))
    assert [note.partition(": --binarised")[0] for note in found.notes] == ["ink.npy: every pixel is 0 or 255"]
    assert load_dataset(Source(dataset=str(tmp_path / "ink.npy"), binarised=True)).notes == ()
    np.save(tmp_path / "ink.npy", images > 99)
    assert load_dataset(Source(dataset=str(tmp_path / "ink.npy"))).notes == ()
    np.save(tmp_path / "grey.npy", IMAGES)
    assert load_dataset(Source(dataset=str(tmp_path / "grey.npy"))).notes == ()


def test_what_was_left_out_is_listed_without_the_way_to_it(tmp_path: Path) -> None:
    (tmp_path / "faces" / "a").mkdir(parents=True)
    for number, row in enumerate(IMAGES[:50]):
        Image.fromarray(row[..., 0]).save(tmp_path / "faces" / f"{number}.png")
    (tmp_path / "faces" / "a" / "b.png").write_text("broken")
    found = load_dataset(Source(dataset=str(tmp_path / "faces"), skip_bad=True))
    assert found.skipped == ("faces/a/b.png: is not a PNG, JPEG, WebP or TIFF",)
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


def write_wards(folder: Path) -> str:
    """Writes 150 rows of 30 wards, of which every tenth row is ill, and returns the path."""
    random, lines = np.random.default_rng(0), ["ward,state,a,b"]
    for number, row in enumerate(random.normal(size=(150, 2))):
        lines.append(f"w{number // 5},{'ill' if number % 10 == 3 else 'well'},{row[0]},{row[1]}")
    (folder / "wards.csv").write_text("\n".join(lines))
    return str(folder / "wards.csv")


def test_the_classes_that_are_not_trained_on_are_all_held_out(tmp_path: Path) -> None:
    path = write_wards(tmp_path)
    found = load_dataset(
        Source(dataset=path, target="state", drop=("ward",), train_classes=("well",), validation_rows=20)
    )
    assert found.labels is not None
    assert (found.classes, found.trained_classes) == (("ill", "well"), (1,))
    assert [len(part) for part in found.labels] == [102, 20, 28]
    assert [(part == 0).sum().item() for part in found.labels] == [0, 0, 15]
    assert found.are_anomalies is not None
    assert found.are_anomalies.tolist() == [label == 0 for label in found.labels.test.tolist()]
    both = load_dataset(Source(dataset=path, target="state", drop=("ward",)))
    assert both.are_anomalies is None
    assert both.labels is not None
    assert both.sha256 != found.sha256
    # Those that are held out anyway are the same rows.
    assert found.test[:15].tolist() == both.test.tolist()


def test_groups_by_column_stay_whole(tmp_path: Path) -> None:
    source = Source(dataset=write_wards(tmp_path), drop=("state",), group_column="ward", validation_rows=20)
    found = load_dataset(source)
    assert [len(part) for part in found[4:7]] == [115, 20, 15]
    assert found.spec.columns == ("a", "b")
    assert found.labels is None


def test_groups_that_are_too_large_for_it_leave_no_rows_to_validate_on_by_default(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for rows, validated in ((40, 40), (25, 0)):
        lines = [f"{ward},{value}" for ward in range(3) for value in random.normal(size=rows)]
        (tmp_path / "wards.csv").write_text("\n".join(["ward,a", *lines]))
        source = Source(dataset=str(tmp_path / "wards.csv"), group_column="ward")
        found = load_dataset(source, validation_rows=lambda count: count // 10)
        assert (len(found.validation), len(found.test)) == (validated, rows)
        again = load_dataset(source.model_copy(update={"validation_rows": found.drawn_validation_rows}))
        assert again.sha256 == found.sha256


def test_labels_and_groups_change_nothing_where_they_are_not_asked_for(images: Path) -> None:
    settings = Source(dataset=str(images), validation_rows=30)
    assert load_dataset(settings).trained_classes == ()
    digest = "9acf526359fe8daeb08a77ed5b2f8691b3db5d708eda5d03f9b48fdeed4bdfc1"
    assert load_dataset(Source(dataset="digits")).sha256 == digest


def test_of_data_with_its_own_test_rows_no_row_changes_its_part(tmp_path: Path) -> None:
    labels = np.arange(200) % 4
    np.savez(
        tmp_path / "parts.npz",
        x_train=IMAGES[:140], y_train=labels[:140], x_val=IMAGES[140:160], y_val=labels[140:160],
        x_test=IMAGES[160:], y_test=labels[160:],
    )  # fmt: skip
    found = load_dataset(Source(dataset=str(tmp_path / "parts.npz"), train_classes=("3", "1")))
    assert [len(part) for part in found[4:7]] == [70, 10, 40]
    assert found.trained_classes == (1, 3)
    assert found.notes[0] == "trained on classes 1, 3 alone: 20 of 40 test rows are of other classes, the anomalies"
    assert found.notes[1].endswith("parts.npz: 80 rows to train on of other classes are left out")


def test_held_out_rows_that_are_training_rows_are_counted(tmp_path: Path) -> None:
    np.save(tmp_path / "twice.npy", np.concatenate([IMAGES, IMAGES[:50]]))
    found = load_dataset(Source(dataset=str(tmp_path / "twice.npy"), validation_rows=25))
    (note,) = found.notes
    train = {row.tobytes() for row in found.train.numpy()}
    counts = [sum(row.tobytes() in train for row in part.numpy()) for part in (found.validation, found.test)]
    assert note.startswith(
        f"twice.npy: {counts[0]} of 25 validation rows and {counts[1]} of 25 test rows are equal to a training row: "
    )
