"""Anomalies in tables: AUROC of the per-row score, of models that saw normal rows only, beside PyOD's VAE and PCA.

    python -m benchmarks.reproductions.anomalies --data-dir DIR --pyod-python PYTHON [--out DIR] [--seeds 5]

DIR holds ADBench's 2_annthyroid.npz, 6_cardio.npz and 38_thyroid.npz (arrays X and y, 1 for an anomaly); PYTHON is an
interpreter that has PyOD. Each seed splits anew: half of the normal rows train, the others and all anomalies test.
Every side gets the same rows, standardised by the training rows, and the same seed; PyOD has its default settings and
the project its preset `table`. The score that counts is the negative ELBO as Reconstruct answers it; the others stand
beside it, among them the squared error that PCA leaves, with no component and with more and more: it shows whether
anomalies lie along the directions in which normal rows vary, where a better model scores them lower.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from benchmarks.printing import claim, table
from benchmarks.reproductions.runs import arguments, finish
from training.evaluate.bounds import kl_per_dimension
from training.evaluate.served import ServedPair

Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

SETS = {"thyroid": "38_thyroid.npz", "annthyroid": "2_annthyroid.npz", "cardio": "6_cardio.npz"}
COMPONENTS = (0, 1, 4, 12)
OURS, PYOD = "negative ELBO", ("PyOD VAE", "PyOD PCA")
PYOD_SCRIPT = Path(__file__).with_name("pyod_scores.py")


class Split(NamedTuple):
    """Rows of one seed, standardised by the training rows; columns that do not vary over those are left out."""

    train: Array64  # [rows, columns], normal ones
    test: Array64  # [rows, columns]
    anomalous: Mask  # [test rows]


def split(rows: Array64, anomalous: Mask, seed: int) -> Split:
    """Returns half of the normal rows to train on, and the others with all anomalies to test on."""
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(~anomalous))
    half = len(normal) // 2
    train, test = rows[normal[:half]], np.concatenate((rows[normal[half:]], rows[anomalous]))
    varies = train.max(0) > train.min(0)  # a deviation may be rounding alone
    center, scale = train[:, varies].mean(0), train[:, varies].std(0)
    scaled = ((part[:, varies] - center) / scale for part in (train, test))
    return Split(next(scaled), next(scaled), np.arange(len(test)) >= len(normal) - half)


def our_scores(file: Path, seed: int, rows: Array64) -> dict[str, Array64]:
    """Returns what Reconstruct answers for test rows, signed so that a higher score is more unusual."""
    run = finish(file.with_suffix(""), {"dataset": str(file), "seed": seed})
    served = ServedPair.from_package(run.package)
    test = rows.astype(np.float32)
    posterior = served.encode(test)
    decoded = served.decode(posterior.mean)
    log_likelihood = served.log_likelihood(test, decoded.parameters)
    return {
        OURS: kl_per_dimension(posterior).sum(1) - log_likelihood,
        "reconstruction": -log_likelihood,
        "squared error": ((decoded.expectation.astype(np.float64) - test) ** 2).sum(1),
    }


def unexplained(train: Array64, test: Array64) -> dict[str, Array64]:
    """Returns the squared error of test rows that ever more of the training rows' principal components leave."""
    directions = np.linalg.svd(train, full_matrices=False).Vh
    left = {count: test - test @ directions[:count].T @ directions[:count] for count in COMPONENTS}
    return {f"PCA-{count}, squared error": (rows**2).sum(1) for count, rows in left.items() if count < train.shape[1]}


def pyod_scores(python: str, file: Path, seed: int) -> dict[str, Array64]:
    """Returns the scores of PyOD's detectors for the test rows of a split's file."""
    answers = file.with_name(f"{file.stem}-pyod.npz")
    if not answers.exists():
        subprocess.run([python, str(PYOD_SCRIPT), str(file), str(answers), str(seed)], check=True, stdout=sys.stderr)
    with np.load(answers) as scores:
        return {"PyOD VAE": scores["vae"], "PyOD PCA": scores["pca"]}


def areas(data: Path, out: Path, python: str, seed: int) -> dict[str, float]:
    """Returns the AUROC of every score on one data set and seed."""
    with np.load(data) as arrays:
        rows, anomalous = arrays["X"], arrays["y"] == 1
    parts = split(rows, anomalous, seed)
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"{data.stem}-{seed}.npz"
    np.savez(file, train=parts.train, test=parts.test)
    scores = our_scores(file, seed, parts.test) | unexplained(*parts[:2]) | pyod_scores(python, file, seed)
    return {name: float(roc_auc_score(parts.anomalous, score)) for name, score in scores.items()}


def compare(name: str, by_seed: list[dict[str, float]]) -> bool:
    """Prints the AUROC of every score on a data set over the seeds; returns whether ours is the best."""
    columns: Mapping[str, Array64] = {score: np.array([one[score] for one in by_seed]) for score in by_seed[0]}
    print(f"{name}, AUROC of {len(by_seed)} seeds")
    table(
        "score", "mean", "deviation", "least", "most",
        rows=[(score, f"{a.mean():.4f}", f"{a.std(ddof=1):.4f}", f"{a.min():.4f}", f"{a.max():.4f}")
              for score, a in columns.items()],
    )  # fmt: skip
    ratios = [(other, columns[OURS].mean() / columns[other].mean()) for other in PYOD]
    met = [claim(f"AUROC over that of {other}", ratio, 1.0) for other, ratio in ratios]
    return all(met)


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, metavar="DIR")
    parser.add_argument("--pyod-python", required=True, metavar="PYTHON")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    met = []
    for name, file in SETS.items():
        by_seed = [
            areas(options.data_dir / file, options.out / "anomalies", options.pyod_python, seed)
            for seed in range(options.seeds)
        ]
        met.append(compare(name, by_seed))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
