"""PyOD's side of the anomaly figures: needs PyOD alone, and nothing of this project.

    PYTHON benchmarks/reproductions/pyod_scores.py SPLIT.npz SCORES.npz SEED

SPLIT.npz holds `train` and `test` [rows, columns], standardised; SCORES.npz then holds `pca` and `vae`, what PyOD's
detectors with their default settings answer for the test rows. PCA alone gets the rank of the training rows: it
divides by every component's variance, which is 0 or rounding alone where columns depend on one another, as cardio's do.
"""

import sys

import numpy as np
from pyod.models.pca import PCA
from pyod.models.vae import VAE


def main(split: str, scores: str, seed: int) -> None:
    with np.load(split) as parts:
        train, test = parts["train"], parts["test"]
    rank = int(np.linalg.matrix_rank(train))
    detectors = {"pca": PCA(n_components=rank, random_state=seed), "vae": VAE(random_state=seed, verbose=0)}
    np.savez(scores, **{name: detector.fit(train).decision_function(test) for name, detector in detectors.items()})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
