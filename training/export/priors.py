"""Priors as graphs: those that a kind learned, and the ex-post prior, a Gaussian mixture fitted on training latents.

A decoder knows the latents that it was trained on. Where these are not distributed as N(0, I), a draw from
N(0, I) decodes to nothing sensible; a density fitted afterwards repairs this (Ghosh et al., "From variational to
deterministic autoencoders", ICLR 2020). For a model with a posterior, fit it on draws from the posteriors, not on
their means.
"""

import warnings
from collections.abc import Sequence
from math import log
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from training.export.graphs import ExportedGraph, export_graphs
from training.export.probes import LARGE, ROWS, GraphModule, Probe, probe
from training.networks.prior import Mixture, MixtureArray, PriorModules, modules_of_mixture
from vaeserve.errors import TrainingError
from vaeserve.rows.noise import Purpose, RowRange, standard_normals
from vaeserve.rows.quantiles import inverse_normal

CANDIDATES = (1, 2, 5, 10, 20, 50)  # components to choose from
HELD_BACK = 0.2  # share of the rows that a choice is judged by
TRIAL_ROWS = 12_500  # maximum number of rows to choose by
LEAST_ROWS = 20  # for each component of a candidate
VARIANCE_FLOOR = 1e-6  # added to each variance, where that of all rows is 1
ITERATIONS, TOLERANCE = 500, 1e-3  # of expectation maximisation; nats a row


class ExportedPrior(NamedTuple):
    """A prior's graphs, with the probes that prove them."""

    name: str
    noise_size: int | None
    """None: noise has the latent's shape, of which the sides are free."""
    graph: ExportedGraph
    density: ExportedGraph
    probes: dict[str, Probe]
    """By graph: `prior.NAME`, `density.NAME`."""

    @property
    def graphs(self) -> dict[str, ExportedGraph]:
        """Both graphs, by the name that their probes have."""
        return {f"prior.{self.name}": self.graph, f"density.{self.name}": self.density}


def fit_mixture(latents: npt.NDArray[np.floating], components: int | Literal["auto"], seed: int) -> Mixture:
    """Returns the mixture of full-covariance Gaussians that a search finds likeliest for latents.

    The same latents and seed give the same mixture, whatever the number of processors. Components with a
    weight of less than one row are left out.

    Args:
        latents: [rows, latent].
        components: their number, or "auto": one of CANDIDATES, chosen by the Bayesian information criterion with the
            log-likelihood of rows that were held back from the fit.
        seed: of the search's start, and of which rows are held back.

    Raises:
        TrainingError: the latents are not finite, or are fewer than the components, or no mixture can be fitted.
    """
    rows = np.asarray(latents, np.float64)
    _check(rows, 1 if components == "auto" else components)
    center, scale = rows.mean(0), _scales(rows)
    scaled = (rows - center) / scale
    with threadpool_limits(1):
        fitted = _fit(scaled, _choose(scaled, seed) if components == "auto" else components, seed)
    populated = fitted.weights_ * len(rows) >= 1
    weights, means = fitted.weights_[populated], fitted.means_[populated]
    factors = np.linalg.cholesky(fitted.covariances_[populated]) * scale[:, None]
    return Mixture(weights / weights.sum(), means * scale + center, factors)


def export_mixture(name: str, mixture: Mixture) -> ExportedPrior:
    """Returns a mixture as graphs, with probes to prove them on, at least one for each of its components.

    Raises:
        TrainingError: PyTorch could not export a graph.
    """
    shares = mixture.weights.numpy()
    noise = _noise_rows(mixture.latent_size + 1, ROWS + len(shares))
    noise[ROWS:, 0] = inverse_normal(np.cumsum(shares) - shares / 2)  # the middle of each component's share
    return export_prior(name, modules_of_mixture(mixture), noise)


def export_prior(name: str, prior: PriorModules, noise: npt.NDArray[np.float32] | None = None) -> ExportedPrior:
    """Returns a prior as graphs, with probes to prove them on.

    Args:
        name: of the prior.
        prior: its modules.
        noise: rows of the probes; None: random and extreme rows.

    Raises:
        TrainingError: PyTorch could not export a graph.
    """
    rows = torch.from_numpy(_noise_rows(prior.noise_size, ROWS) if noise is None else noise)
    temperature = torch.from_numpy(np.resize(np.array([1.0, 0.5, 2.0, 1e-3], np.float32), len(rows)))
    with torch.inference_mode():
        latent = prior.sampler(rows, temperature)
    modules = {
        f"prior.{name}": GraphModule(prior.sampler, ("noise", "temperature"), ("latent",)),
        f"density.{name}": GraphModule(prior.density, ("latent",), ("log_prior",)),
    }
    inputs = (
        {"noise": rows, "temperature": temperature},
        {"latent": torch.cat((latent, LARGE * latent[:ROWS]))},
    )
    probes = {graph: probe(modules[graph], tensors) for graph, tensors in zip(modules, inputs, strict=True)}
    graph, density = export_graphs(modules, probes).values()
    return ExportedPrior(name, prior.noise_size, graph, density, probes)


def _check(rows: MixtureArray, components: int) -> None:
    if components < 1:
        raise TrainingError(f"components: is {components}, must be 1 or more, or auto")
    if not np.isfinite(rows).all():
        row = int(np.flatnonzero(~np.isfinite(rows).all(1))[0])
        raise TrainingError(f"latents: NaN or infinity in row {row}; no prior can be fitted on them")
    if len(rows) < max(2, components):
        raise TrainingError(f"latents: {len(rows)} rows are too few for a mixture of {components} components")


def _scales(rows: MixtureArray) -> MixtureArray:
    """Returns each value's standard deviation; for a constant one (but for rounding) the largest of all."""
    scales: MixtureArray = rows.std(0)
    constant = scales <= np.maximum(1e-6 * scales.max(), 1e-7 * np.abs(rows).max(0))
    return np.where(constant, 1.0 if constant.all() else scales.max(), scales)


def _choose(rows: MixtureArray, seed: int) -> int:
    """Returns the number of components: the next candidate, as long as it improves the criterion."""
    order = np.random.default_rng(seed).permutation(len(rows))[:TRIAL_ROWS]
    held, trial = np.split(rows[order], [int(HELD_BACK * len(order))])
    best, lowest = 1, np.inf
    for components in CANDIDATES:
        if components > 1 and len(trial) < LEAST_ROWS * components:
            break
        judged = held if len(held) else trial
        criterion = _criterion(_fit(trial, components, seed).score(judged), components, trial.shape)
        if criterion >= lowest:
            break
        best, lowest = components, criterion
    return best


def _criterion(nats: float, components: int, shape: Sequence[int]) -> float:
    """Returns the Bayesian information criterion (Schwarz, 1978) of a log-likelihood in nats a row; lower is better."""
    rows, size = shape
    parameters = components * (1 + size + size * (size + 1) / 2) - 1
    return -2 * rows * nats + parameters * log(rows)


def _fit(rows: MixtureArray, components: int, seed: int) -> GaussianMixture:
    mixture = GaussianMixture(
        components, tol=TOLERANCE, reg_covar=VARIANCE_FLOOR, max_iter=ITERATIONS, random_state=seed % 2**32
    )
    with warnings.catch_warnings():
        # There are few distinct rows, or the fit could still improve: it is a sound density anyway.
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            return mixture.fit(rows)
        except ValueError as exc:
            raise TrainingError(f"latents: no mixture of {components} components can be fitted: {exc}") from exc


def _noise_rows(size: int, rows: int) -> npt.NDArray[np.float32]:
    """Returns rows of noise; the last 8 of the first ROWS are extreme."""
    noise = standard_normals(Purpose.PRIOR, [RowRange(0, 0, rows)], size)
    noise[ROWS - 8 : ROWS] = LARGE * np.sign(noise[ROWS - 8 : ROWS])
    return noise
