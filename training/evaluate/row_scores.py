"""What single rows score: as Reconstruct answers it, at the mean latent, without a draw."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from training.evaluate.bounds import kl_per_dimension
from training.evaluate.reconstruction import units_of
from training.evaluate.rows import Array64, DataArray
from training.evaluate.served import ServedPair
from vaeserve.package.manifest import STANDARD


class RowScores(NamedTuple):
    """Scores of rows, [rows] each; the higher, the more unusual."""

    squared_error: Array64
    """A sum over a row's values, in the data's units."""
    scaled_error: Array64
    """The same with a table's columns scaled alike."""
    reconstruction: Array64 | None
    """-log p(x | mean latent), in nats; None where there is no likelihood."""
    negative_elbo: Array64 | None
    """The same and the KL; None where there is no posterior either, or the KL is not that to N(0, I)."""

    def of(self, rows: npt.NDArray[np.bool_]) -> "RowScores":
        """Returns the scores of some rows."""
        return RowScores(
            self.squared_error[rows],
            self.scaled_error[rows],
            None if self.reconstruction is None else self.reconstruction[rows],
            None if self.negative_elbo is None else self.negative_elbo[rows],
        )


def row_scores(pair: ServedPair, rows: DataArray, train: DataArray) -> RowScores:
    """Returns the scores of rows.

    Args:
        pair: what is measured.
        rows: to score.
        train: training rows, by which columns are scaled.
    """
    posterior, units = pair.encode(rows), units_of(train)
    errors, scaled = np.zeros(len(rows)), np.zeros(len(rows))
    for part in pair.parts(len(rows), copies=3):
        missed = pair.expectation(posterior.mean[part]).astype(np.float64) - rows[part]
        errors[part] = (missed**2).reshape(len(missed), -1).sum(1)
        scaled[part] = ((missed / units) ** 2).reshape(len(missed), -1).sum(1)
    reconstruction = -pair.score(rows, posterior.mean) if pair.scores else None
    if reconstruction is None or posterior.log_variance is None or pair.model_prior != STANDARD:
        return RowScores(errors, scaled, reconstruction, None)
    return RowScores(errors, scaled, reconstruction, reconstruction + kl_per_dimension(posterior).sum(1))
