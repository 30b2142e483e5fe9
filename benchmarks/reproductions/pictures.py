"""Pictures with default settings, against PCA and probabilistic PCA of the same latent size.

    python -m benchmarks.reproductions.pictures [--data-dir DIR] [--photographs FILE.npy] [--out DIR]

Sets: digits as 256 levels of grey (scikit-learn's), and with DIR a part of CIFAR-10 (DIR/cifar10-subset) and
Fashion-MNIST in grey (DIR/fashion-mnist). FILE.npy holds photographs of one's own, uint8 [rows, height, width, 3];
without it tiles of scikit-learn's two sample photographs are taken. A run is to have fewer bits a value than
probabilistic PCA, and a smaller squared error than PCA, both on rows that were held out.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from benchmarks.printing import claim
from benchmarks.reproductions.runs import Finished, arguments, finish
from vaeserve.sources.idx import read_idx

Rows = npt.NDArray[np.uint8]
SIDE = 64  # of a tile
CIFAR_SIDE, CIFAR_PARTS, CIFAR_TEST = 32, range(5), 50


def main() -> int:
    """Trains a run for each set, prints the figures, and returns 1 if one misses."""
    parser = arguments(__doc__)
    parser.add_argument("--data-dir", type=Path, help="folder with fashion-mnist and cifar10-subset")
    parser.add_argument("--photographs", type=Path, help="photographs of one size, a .npy file")
    options = parser.parse_args()
    folder: Path = options.out / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    met = [
        beats_linear(path.stem, finish(folder / path.stem, {"dataset": str(path)}, "images"))
        for path in write_sets(folder, options.data_dir, options.photographs)
    ]
    return 0 if all(met) else 1


def write_sets(folder: Path, data_dir: Path | None, photographs: Path | None) -> Iterator[Path]:
    """Yields the files of the sets, each written before."""
    yield _written(folder / "digits-grey.npz", digits())
    yield _written(folder / "photographs.npz", tiles(SIDE) if photographs is None else np.load(photographs))
    if data_dir is not None:
        yield _written(folder / "cifar-part.npz", *cifar(data_dir / "cifar10-subset"))
        yield _written(folder / "fashion-grey.npz", *fashion(data_dir / "fashion-mnist"))


def digits() -> Rows:
    """Returns scikit-learn's digits, whose counts 0 to 16 become levels 0 to 255."""
    grey: Rows = np.round(load_digits().images * 255 / 16).astype(np.uint8)
    return grey


def tiles(side: int) -> Rows:
    """Returns tiles of scikit-learn's two photographs, which do not overlap, in an order that mixes both."""
    found = [
        photograph[top : top + side, left : left + side]
        for photograph in load_sample_images().images
        for top in range(0, photograph.shape[0] - side + 1, side)
        for left in range(0, photograph.shape[1] - side + 1, side)
    ]
    stacked: Rows = np.stack(found)[np.random.default_rng(0).permutation(len(found))]
    return stacked


def cifar(folder: Path) -> tuple[Rows, Rows]:
    """Returns rows to train on and to test on, from sheets with a picture a line."""

    def sheet(number: int) -> Rows:
        pixels = np.asarray(Image.open(folder / f"cifar10_batch_{number}.png"), np.uint8)
        pictures: Rows = pixels.reshape(-1, CIFAR_SIDE, CIFAR_SIDE, 3)
        return pictures

    return np.concatenate([sheet(number) for number in CIFAR_PARTS]), sheet(CIFAR_TEST)


def fashion(folder: Path) -> tuple[Rows, Rows]:
    """Returns Fashion-MNIST's rows to train on and to test on, in grey."""
    train, test = (np.asarray(read_idx(folder / f"{part}-images-idx3-ubyte.gz", 3)) for part in ("train", "t10k"))
    return train, test


def beats_linear(name: str, run: Finished) -> bool:
    """Prints a run's two figures beside those of the linear models, and returns whether both are better."""
    evaluation = run.evaluation
    bits, linear = evaluation.likelihoods.bits_per_dimension, evaluation.likelihoods.ppca_bits_per_dimension
    error, of_pca = evaluation.squared_error, evaluation.pca_squared_error
    if bits is None or linear is None or of_pca is None:
        raise AssertionError(f"{name} has no figures to compare. This is a bug.")
    size = evaluation.latent_size
    time = "" if run.seconds is None else f", {run.seconds / 60:.0f} min"
    fewer = claim(f"{name}, {size} latents, bits a value{time}", bits, linear, is_limit=True)
    nearer = claim(f"{name}, squared error", error, of_pca, is_limit=True)
    return fewer and nearer


def _written(path: Path, train: Rows, test: Rows | None = None) -> Path:
    if not path.exists():
        arrays = {"images": train} if test is None else {"x_train": train, "x_test": test}
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
    return path


if __name__ == "__main__":
    sys.exit(main())
