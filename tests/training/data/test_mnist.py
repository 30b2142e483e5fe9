import gzip
import hashlib
import socket
import urllib.error
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.training.data.test_idx import idx
from training.data import mnist
from training.data.mnist import ORIGINALS, Original, download, read_mnist
from vae.errors import TrainingError

RANDOM = np.random.default_rng(0)
IMAGES = {"train": RANDOM.integers(0, 256, (60, 5, 4), np.uint8), "t10k": RANDOM.integers(0, 256, (10, 5, 4), np.uint8)}
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


def test_a_download_is_the_original_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = RANDOM.integers(0, 256, (3, 784))
    asked: dict[str, object] = {}

    def fetch(name: str, **options: object) -> SimpleNamespace:
        warnings.warn("trying again", stacklevel=1)
        asked.update(options, name=name, patience=socket.getdefaulttimeout())
        return SimpleNamespace(data=pixels.astype(np.float64), target=np.array(["5", "0", "4"], object))

    with pytest.raises(TrainingError, match=r"^mnist: what openml\.org sent is not the original; give .* --data-dir$"):
        download("mnist", fetch)
    digest = hashlib.sha256(pixels.astype(np.uint8).tobytes()).hexdigest()
    monkeypatch.setitem(ORIGINALS, "mnist", Original("", "mnist_784", digest))
    values, labels = download("mnist", fetch)
    np.testing.assert_array_equal(values, pixels.reshape(3, 28, 28))
    assert labels.tolist() == [5, 0, 4]
    assert (asked["name"], asked["as_frame"], asked["version"]) == ("mnist_784", False, 1)
    assert (asked["patience"], socket.getdefaulttimeout()) == (mnist.PATIENCE_SECONDS, None)


@pytest.mark.parametrize(
    "error",
    [
        urllib.error.URLError(OSError(101, "Network is unreachable")),
        TimeoutError("Network is unreachable"),
        ValueError("Network is unreachable"),
    ],
)
def test_without_a_network_one_line_says_what_to_do(error: Exception) -> None:
    def fetch(name: str, **options: object) -> None:
        raise error

    said = r"^fashion-mnist: cannot be downloaded from openml\.org: .*Network is unreachable; give .* --data-dir$"
    with pytest.raises(TrainingError, match=said):
        download("fashion-mnist", fetch)
