"""A map of latents in two dimensions. It is a rotation without a stretch, so N(0, I) stays round."""

from typing import Literal, NamedTuple

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from training.card.charts import MOST_CLASSES, Cloud, Map, coloured_classes, latent_map
from training.card.picture import Picture
from training.evaluate.bounds import draw_latents
from training.evaluate.rows import Array64, DataArray, EvaluationRows, LabelArray, evenly
from training.evaluate.served import ServedPair

_POINTS = 2000  # maximum number of rows, and of draws from each prior
_PRIORS = 3  # maximum number of panels
_SEED = 0
_ROWS_PER_DIMENSION = 10  # with fewer rows, the directions that separate classes are chance


class _Basis(NamedTuple):
    """Two orthonormal directions, and how they were chosen."""

    directions: Array64  # [latent, 2]
    choice: Literal["axes", "widest", "classes"]


def latent_picture(pair: ServedPair, rows: EvaluationRows, classes: tuple[str, ...] = ()) -> Picture:
    """Returns the map of the latents of held-out rows, over draws from each prior. Needs at least two dimensions.

    Args:
        pair: the pair.
        rows: data; held-out rows are shown.
        classes: names of the labels 0, 1, ..., if there are any.
    """
    shown, labels = _shown(rows)
    posterior = pair.encode(shown)
    basis = _basis(posterior.mean.astype(np.float64), labels)
    priors = [
        Cloud(name, pair.draw_prior(name, _SEED, len(shown)).astype(np.float64) @ basis.directions)
        for name in pair.priors[:_PRIORS]
    ]
    axes = ("z0", "z1") if basis.choice == "axes" else ("first direction", "second direction")
    plane = Map(draw_latents(posterior, _SEED).astype(np.float64) @ basis.directions, labels, priors, axes, classes)
    with_anomalies = "" if rows.anomalies is None else ", anomalies among them"
    caption = _caption(pair, f"{len(shown)} held-out rows{with_anomalies}", labels, basis)
    return Picture("Map of the latents", "latents.png", latent_map(plane), caption)


def _shown(rows: EvaluationRows) -> tuple[DataArray, LabelArray | None]:
    """Returns the held-out rows that a map shows, and anomalies with them, in their shares."""
    if rows.test_labels is None or rows.anomalies is None or rows.anomaly_labels is None:
        chosen = evenly(len(rows.test), _POINTS)
        return rows.test[chosen], None if rows.test_labels is None else np.asarray(rows.test_labels)[chosen]
    chosen = evenly(len(rows.test) + len(rows.anomalies), _POINTS)
    usual, anomalous = chosen[chosen < len(rows.test)], chosen[chosen >= len(rows.test)] - len(rows.test)
    labels = np.concatenate([rows.test_labels[usual], rows.anomaly_labels[anomalous]])
    return np.concatenate([rows.test[usual], rows.anomalies[anomalous]]), labels


def _basis(means: Array64, labels: LabelArray | None) -> _Basis:
    """Returns the directions of the map: the axes if there are two, else those that separate classes, else PCA's."""
    rows, size = means.shape
    if size == 2:
        return _Basis(np.eye(2), "axes")
    counts = np.unique(labels, return_counts=True)[1] if labels is not None else np.zeros(0, np.int64)
    if len(counts) > 2 and counts.min() > 1 and rows >= _ROWS_PER_DIMENSION * size:
        model = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.1).fit(means, labels)
        return _Basis(_orthonormal(model.scalings_[:, :2]), "classes")
    centred = means - means.mean(0)
    return _Basis(_orthonormal(np.linalg.eigh(centred.T @ centred)[1][:, :-3:-1]), "widest")


def _uncoloured(labels: LabelArray | None) -> str:
    classes = 0 if labels is None else len(np.unique(labels))
    return f"All rows have one colour, because {classes} classes are too many to tell apart by colour. " * (
        classes > MOST_CLASSES
    )


def _orthonormal(directions: Array64) -> Array64:
    basis = np.linalg.qr(directions)[0]
    signs = np.sign(basis[np.abs(basis).argmax(0), [0, 1]])  # the sign of a direction is arbitrary
    turned: Array64 = basis * signs
    return turned


def _caption(pair: ServedPair, which: str, labels: LabelArray | None, basis: _Basis) -> str:
    what = "one draw from each posterior" if pair.posterior == "gaussian" else "one latent each"
    rotation = {
        "axes": "",
        "widest": " The map is rotated to the two directions in which rows spread most.",
        "classes": " The map is rotated to the two directions that separate classes most.",
    }
    return (
        f"{which}, {what}{', coloured by class' if coloured_classes(labels) else ''}, over as many draws "
        f"from the prior in grey.{rotation[basis.choice]} Grey without colour: samples come from there, but "
        "no row does. "
        f"{_uncoloured(labels)}Circles hold 50, 90 and 99 % of N(0, I)."
    )
