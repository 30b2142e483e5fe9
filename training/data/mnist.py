"""MNIST and Fashion-MNIST, from a folder of the four original files or downloaded from OpenML by scikit-learn."""

import hashlib
import socket
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from sklearn.datasets import fetch_openml, get_data_home

from vaeserve.errors import TrainingError
from vaeserve.files import AnyArray, write_whole
from vaeserve.printable import printable
from vaeserve.sources.content import ClassLabels, Content, images_spec
from vaeserve.sources.idx import read_idx

TRAINING_ROWS, TEST_ROWS = 60_000, 10_000  # of the originals
_PARTS = ("train", "t10k")
_CLEAR = (OSError, EOFError, ValueError)  # errors whose messages need no class name
PATIENCE_SECONDS = 60  # without a byte before a download is abandoned


class Original(NamedTuple):
    """A data set that was published as four files."""

    title: str
    openml_name: str
    sha256: str
    """Of the pixels, training rows first: OpenML's copy must be the original."""


ORIGINALS = {
    "mnist": Original(
        "70000 handwritten digits of 28 x 28 pixels (LeCun, Cortes and Burges)",
        "mnist_784",
        "5b92582eb909c82a9bfefcd44acbe9233be3eb5b419a44cf211022ad2bf4bf96",
    ),
    "fashion-mnist": Original(
        "70000 pictures of clothing of 28 x 28 pixels (Xiao, Rasul and Vollgraf)",
        "Fashion-MNIST",
        "0fbbfcb392782b3b702472ead3688778e1509e8cf40f5c24d9d3303618b193ab",
    ),
}


def read_mnist(name: str, data_dir: Path | None) -> Content:
    """Returns one of ORIGINALS.

    Raises:
        TrainingError: a file is missing or wrong, or nothing could be downloaded.
    """
    if data_dir is None:
        return _content(name, *download(name), TEST_ROWS)
    parts = [_read_part(data_dir, part) for part in _PARTS]
    (training, _), (test, _) = parts
    if training.shape[1:] != test.shape[1:]:
        raise TrainingError(
            f"{printable(data_dir)}: images to train on are {_size(training)}, those to test on {_size(test)} pixels"
        )
    values, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return _content(name, values, labels, len(test))


def download(name: str) -> tuple[AnyArray, ClassLabels]:
    """Returns images [rows, height, width] and their labels from OpenML, or from the cache of an earlier download.

    Args:
        name: one of ORIGINALS.

    Raises:
        TrainingError: there is no network, or the download is not the original.
    """
    cache = Path(get_data_home()) / f"vaeserve-{name}.npz"
    images = _read_cache(cache, ORIGINALS[name].sha256)
    if images is None:
        images = _fetch(name)
        content = BytesIO()
        np.savez_compressed(content, values=images[0], labels=images[1])
        with suppress(OSError):  # a full disk costs the next run a download, but does not stop this one
            write_whole(cache, content.getvalue())
    return images


def _read_cache(path: Path, sha256: str) -> tuple[AnyArray, ClassLabels] | None:
    """Returns an earlier download, if there is one. Reading it takes a second, reading OpenML's file over a minute."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            values, labels = arrays["values"], arrays["labels"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error):  # missing or broken
        return None
    return (values, labels) if hashlib.sha256(values.tobytes()).hexdigest() == sha256 else None


def _fetch(name: str) -> tuple[AnyArray, ClassLabels]:
    original, hint = ORIGINALS[name], "; give the folder of the original files by --data-dir"
    try:
        with _patience(PATIENCE_SECONDS):
            bunch = fetch_openml(original.openml_name, version=1, as_frame=False, parser="liac-arff", n_retries=1)
    except MemoryError:
        raise
    except Exception as exc:  # the network, decompression, checksums and parsing raise errors of many classes
        reason = printable(getattr(exc, "reason", None) or (exc if isinstance(exc, _CLEAR) else repr(exc)))
        raise TrainingError(f"{name}: cannot be downloaded from openml.org: {reason}{hint}") from exc
    values = np.asarray(bunch.data).astype(np.uint8)
    if hashlib.sha256(values.tobytes()).hexdigest() != original.sha256:
        raise TrainingError(f"{name}: what openml.org sent is not the original{hint}")
    return values.reshape(-1, 28, 28), np.asarray(bunch.target).astype(np.int64)


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Sets a timeout for the network, because scikit-learn sets none, and silences its warnings about retries."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        socket.setdefaulttimeout(before)


def _content(name: str, values: AnyArray, labels: ClassLabels, test_rows: int) -> Content:
    return Content(
        title=ORIGINALS[name].title
        if len(values) == TRAINING_ROWS + TEST_ROWS
        else f"{len(values)} images like {name}",
        spec=images_spec((*values.shape[1:], 1)),
        family="bernoulli",
        values=values[..., np.newaxis],
        labels=labels,
        test_rows=test_rows,
    )


def _read_part(data_dir: Path, part: str) -> tuple[AnyArray, ClassLabels]:
    images_file = _find(data_dir, f"{part}-images", "idx3-ubyte")
    labels_file = _find(data_dir, f"{part}-labels", "idx1-ubyte")
    images, labels = read_idx(images_file, 3), read_idx(labels_file, 1)
    if len(images) != len(labels):
        raise TrainingError(
            f"{printable(images_file)}: holds {len(images)} images, {labels_file.name} {len(labels)} labels"
        )
    return images, labels.astype(np.int64)


def _find(data_dir: Path, stem: str, kind: str) -> Path:
    """Returns the file of that name, in one of the forms in which it is published or unpacked."""
    for name in (f"{stem}-{kind}.gz", f"{stem}-{kind}", f"{stem}.{kind}", f"{stem}.{kind}.gz"):
        if (data_dir / name).is_file():
            return data_dir / name
    raise TrainingError(f"{printable(data_dir)}: there is no {stem}-{kind}.gz, nor the same unpacked")


def _size(images: AnyArray) -> str:
    return f"{images.shape[2]} x {images.shape[1]}"
