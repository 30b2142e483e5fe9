"""The ex-post prior: a Gaussian mixture fitted on latents of training rows, drawn from and scored by graphs.

A decoder knows the latents that it was trained on. Where these are not distributed as N(0, I), a draw from
N(0, I) decodes to nothing sensible; a density fitted afterwards repairs this (Ghosh et al., "From variational to
deterministic autoencoders", ICLR 2020). For a model with a posterior, fit it on draws from the posteriors, not on
their means.
"""

import warnings
from collections.abc import Sequence
from math import log, pi
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from training.export.graphs import ExportedGraph, export_graphs
from training.export.probes import LARGE, ROWS, GraphModule, Probe, probe
from vaeserve.errors import TrainingError
from vaeserve.rows.noise import Purpose, RowRange, standard_normals
from vaeserve.rows.quantiles import inverse_normal

CANDIDATES = (1, 2, 5, 10, 20, 50)  # components to choose from
HELD_BACK = 0.2  # share of the rows that a choice is judged by
TRIAL_ROWS = 12_500  # maximum number of rows to choose by
LEAST_ROWS = 20  # for each component of a candidate
VARIANCE_FLOOR = 1e-6  # added to each variance, where that of all rows is 1
ITERATIONS, TOLERANCE = 500, 1e-3  # of expectation maximisation; nats a row

MixtureArray = npt.NDArray[np.float64]


class Mixture(nn.Module):
    """noise [batch, latent + 1], temperature [batch] -> latent [batch, latent]: a draw from a mixture of Gaussians.

    The first value of a row's noise picks the component, the others are scaled by the temperature and spread as the
    component is. In float64 inside, so that a latent's last bit hardly ever depends on what runs the graph.
    """

    weights: Tensor  # [components]
    means: Tensor  # [components, latent]
    factors: Tensor  # [components, latent, latent], Cholesky factors of the covariances
    thresholds: Tensor  # [components], float32: where a component's share of the first normal ends

    def __init__(self, weights: MixtureArray, means: MixtureArray, factors: MixtureArray) -> None:
        super().__init__()
        ends = np.append(inverse_normal(np.cumsum(weights)[:-1]), np.inf)
        self.register_buffer("weights", torch.from_numpy(weights))
        self.register_buffer("means", torch.from_numpy(means))
        self.register_buffer("factors", torch.from_numpy(factors))
        self.register_buffer("thresholds", torch.from_numpy(ends).float())

    @property
    def latent_size(self) -> int:
        """Number of values in a latent."""
        return self.means.shape[1]

    def forward(self, noise: Tensor, temperature: Tensor) -> Tensor:
        """Returns a latent for each row of noise."""
        component = (noise[:, :1] > self.thresholds).sum(1)  # [batch]
        spread = (self.factors[component] @ noise[:, 1:, None].double())[..., 0]
        return (self.means[component] + temperature[:, None].double() * spread).float()


class Density(nn.Module):
    """latent [batch, latent] -> log_prior [batch], nats: the density that a mixture draws from at temperature 1."""

    whitening: Tensor  # [latent, components * latent], inverse Cholesky factors side by side
    centers: Tensor  # [components * latent], whitened means
    log_scales: Tensor  # [components], log density at a component's mean times its weight

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        components, size = mixture.means.shape
        inverses = torch.linalg.inv(mixture.factors)
        diagonals = torch.diagonal(mixture.factors, dim1=1, dim2=2)
        self.shape = (components, size)
        self.register_buffer("whitening", inverses.flatten(0, 1).T.contiguous())
        self.register_buffer("centers", (inverses @ mixture.means[:, :, None]).flatten())
        self.register_buffer("log_scales", mixture.weights.log() - diagonals.log().sum(1) - size / 2 * log(2 * pi))

    def forward(self, latent: Tensor) -> Tensor:
        """Returns log p(latent), nats a row."""
        whitened = (latent.double() @ self.whitening - self.centers).reshape(-1, *self.shape)
        terms = self.log_scales - 0.5 * (whitened**2).sum(2)  # [batch, components]
        largest = terms.amax(1, keepdim=True)
        return (largest[:, 0] + (terms - largest).exp().sum(1).log()).float()


class ExportedPrior(NamedTuple):
    """A prior's graphs, with the probes that prove them."""

    name: str
    noise_size: int
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


def export_prior(name: str, mixture: Mixture) -> ExportedPrior:
    """Returns a mixture as graphs, with probes to prove them on, at least one for each of its components.

    Raises:
        TrainingError: PyTorch could not export a graph.
    """
    noise, temperature = _noise_rows(mixture)
    with torch.inference_mode():
        latent = mixture(noise, temperature)
    modules = {
        f"prior.{name}": GraphModule(mixture, ("noise", "temperature"), ("latent",)),
        f"density.{name}": GraphModule(Density(mixture), ("latent",), ("log_prior",)),
    }
    inputs = (
        {"noise": noise, "temperature": temperature},
        {"latent": torch.cat((latent, LARGE * latent[:ROWS]))},
    )
    probes = {graph: probe(modules[graph], tensors) for graph, tensors in zip(modules, inputs, strict=True)}
    graph, density = export_graphs(modules, probes).values()
    return ExportedPrior(name, mixture.latent_size + 1, graph, density, probes)


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


def _noise_rows(mixture: Mixture) -> tuple[Tensor, Tensor]:
    """Returns noise and temperatures: a row in the middle of each component's share, then random and extreme rows."""
    components = len(mixture.weights)
    noise = standard_normals(Purpose.PRIOR, [RowRange(0, 0, ROWS + components)], mixture.latent_size + 1)
    shares = mixture.weights.numpy()
    noise[ROWS:, 0] = inverse_normal(np.cumsum(shares) - shares / 2)
    noise[ROWS - 8 : ROWS] = LARGE * np.sign(noise[ROWS - 8 : ROWS])
    temperature = np.resize(np.array([1.0, 0.5, 2.0, 1e-3], np.float32), len(noise))
    return torch.from_numpy(noise), torch.from_numpy(temperature)
