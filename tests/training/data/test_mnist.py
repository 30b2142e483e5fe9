import gzip
import hashlib
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.openml import OpenML, openml
from tests.vaeserve.sources.test_idx import idx
from training.data import mnist
from training.data.mnist import ORIGINALS, Original, download, read_mnist
from vaeserve.errors import TrainingError

RANDOM = np.random.default_rng(0)
IMAGES = {"train": RANDOM.integers(0, 256, (60, 5, 4), np.uint8), "t10k": RANDOM.integers(0, 256, (10, 5, 4), np.uint8)}
PIXELS = RANDOM.integers(0, 256, (3, 784), np.uint8)
LABELS = {part: RANDOM.integers(0, 10, len(images), np.uint8) for part, images in IMAGES.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part, images in IMAGES.items():
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(LABELS[part]))
    return tmp_path


def test_the_four_files_are_read_packed_or_not(folder: Path) -> None:
    content = read_mnist("mnist", folder)
    np.testing.assert_array_equal(content.values[..., 0], np.concatenate([*IMAGES.values()]), strict=True)
    assert content.labels is not None
    np.testing.assert_array_equal(content.labels, np.concatenate([*LABELS.values()]))
    assert (content.test_rows, content.spec.shape, content.family) == (10, (5, 4, 1), "bernoulli")
    assert content.title == "70 images like mnist"


def test_files_as_they_are_often_unpacked_are_found(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").rename(folder / "train-labels.idx1-ubyte")
    assert len(read_mnist("fashion-mnist", folder).values) == 70


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(TrainingError, match=r": there is no t10k-labels-idx1-ubyte\.gz, nor the same unpacked$"):
        read_mnist("mnist", folder)
    with pytest.raises(TrainingError, match=r"nowhere: there is no train-images-idx3-ubyte\.gz"):
        read_mnist("mnist", folder / "nowhere")


def test_as_many_labels_as_images_are_needed(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(LABELS["train"][1:]))
    with pytest.raises(TrainingError, match=r"gz: holds 60 images, train-labels-idx1-ubyte 59 labels"):
        read_mnist("mnist", folder)


def test_images_of_both_parts_have_one_size(folder: Path) -> None:
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(idx(IMAGES["t10k"].transpose(0, 2, 1).copy()))
    with pytest.raises(TrainingError, match="images to train on are 4 x 5, those to test on 5 x 4 pixels"):
        read_mnist("mnist", folder)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[OpenML]:
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "scikit-learn"))
    with openml("mnist_784", PIXELS, np.array([5, 0, 4]), monkeypatch) as server:
        yield server


def test_a_download_is_the_original_and_is_kept(
    elsewhere: OpenML, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(ORIGINALS, "mnist", Original("", "mnist_784", hashlib.sha256(PIXELS.tobytes()).hexdigest()))
    kept = tmp_path / "scikit-learn" / "vaeserve-mnist.npz"

    def check() -> None:
        values, labels = download("mnist")
        np.testing.assert_array_equal(values, PIXELS.reshape(3, 28, 28), strict=True)
        assert labels.tolist() == [5, 0, 4]

    check()
    content = kept.read_bytes()
    assert len(elsewhere.asked) == 5
    shutil.rmtree(tmp_path / "scikit-learn" / "openml")
    check()
    assert len(elsewhere.asked) == 5  # it came from the disk
    for broken in (b"", b"PK", content[:-30], content[:200] + b"x" + content[201:]):
        kept.write_bytes(broken)
        check()
        assert kept.read_bytes() == content


def test_what_is_not_the_original_is_refused(elsewhere: OpenML) -> None:
    with pytest.raises(TrainingError, match=r"^mnist: what openml\.org sent is not the original; give .* --data-dir$"):
        download("mnist")


def test_what_arrives_late_or_broken_is_refused(elsewhere: OpenML, monkeypatch: pytest.MonkeyPatch) -> None:
    said = r"^mnist: cannot be downloaded from openml\.org: .*{}; give the folder of the original files by --data-dir$"
    monkeypatch.setattr(mnist, "PATIENCE_SECONDS", 0.2)
    elsewhere.silence_seconds = 1.0
    with pytest.raises(TrainingError, match=said.format("timed out")):
        download("mnist")
    assert socket.getdefaulttimeout() is None
    elsewhere.silence_seconds = 0.0
    monkeypatch.setattr(mnist, "PATIENCE_SECONDS", 60.0)
    elsewhere.sent_bytes //= 2
    with pytest.raises(TrainingError, match=said.format("ended before the end-of-stream marker was reached")):
        download("mnist")
    elsewhere.file = gzip.compress(gzip.decompress(elsewhere.file)[:-5])
    elsewhere.sent_bytes = len(elsewhere.file)
    with pytest.raises(TrainingError, match=said.format("md5 checksum .* does not match .*")):
        download("mnist")


def test_where_the_data_is_not_to_be_had_one_line_says_what_to_do(elsewhere: OpenML) -> None:
    elsewhere.pages["/api/v1/json/data/554"] = {}
    with pytest.raises(TrainingError, match=r": KeyError\('data_set_description'\); give the folder "):
        download("mnist")
    shutil.rmtree(os.environ["SCIKIT_LEARN_DATA"])
    elsewhere.pages.clear()
    with pytest.raises(TrainingError, match=r": Dataset mnist_784 with version 1 not found\.; give the folder "):
        download("mnist")
    elsewhere.shutdown()
    elsewhere.server_close()
    with pytest.raises(
        TrainingError, match=r": \[Errno 111\] Connection refused; give the folder of the original files by --data"
    ):
        download("mnist")
