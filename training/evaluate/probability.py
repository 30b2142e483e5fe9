"""How probable held-out rows are: every figure in nats, as far as the pair has it."""

from collections.abc import Callable
from functools import partial
from math import log

from training.evaluate import bounds
from training.evaluate.baseline import without_latents
from training.evaluate.evaluation import Budget
from training.evaluate.figures import Likelihoods, Nll
from training.evaluate.rows import DataArray, EncodedRows, EvaluationRows, evenly
from training.evaluate.served import ServedPair
from vaeserve.package.manifest import STANDARD


def likelihoods_of(
    pair: ServedPair,
    rows: EvaluationRows,
    posterior: EncodedRows,
    budget: Budget,
    report: Callable[[str, float], None],
) -> Likelihoods:
    """Returns the log-likelihoods of the held-out rows.

    Args:
        pair: what is measured.
        rows: training rows to fit the baseline on, and the held-out rows to score.
        posterior: of the held-out rows.
        budget: how many rows, samples and draws there may be.
        report: called with each stage and the share of it that is done.
    """
    if not pair.scores:
        return Likelihoods()
    test, baseline = rows.test, without_latents(pair.family, pair.data, rows.train, rows.test)
    if pair.levels:
        return _of_codes(pair, test, posterior, baseline)
    if posterior.log_variance is None:
        reconstruction = bounds.mean_estimate(-pair.score(test, posterior.mean))
        return Likelihoods(reconstruction_nats=reconstruction, without_latents_nats=baseline)
    stage = partial(report, f"ELBO of {len(test):,} rows with {budget.draws} samples")
    elbo = bounds.elbo(pair, test, posterior, budget.draws, seed=budget.seed, progress=stage)
    return Likelihoods(
        negative_elbo_nats=elbo.total,
        reconstruction_nats=elbo.reconstruction,
        kl_nats=elbo.kl,
        kl_per_dimension_nats=(
            tuple(bounds.kl_per_dimension(posterior).mean(0).tolist()) if pair.model_prior == STANDARD else None
        ),
        prior=pair.model_prior,
        bits_per_dimension=elbo.total.value / (pair.data.value_count * log(2)),
        nll=_nll(pair, test, posterior, budget, report),
        without_latents_nats=baseline,
    )


def _of_codes(pair: ServedPair, test: DataArray, posterior: EncodedRows, baseline: float | None) -> Likelihoods:
    """Returns the log-likelihoods of rows that are encoded into codes: all exact, because nothing is drawn."""
    distortion, rate = -pair.score(test, posterior.mean), -pair.log_prior(posterior.mean)
    total = bounds.mean_estimate(distortion + rate)
    return Likelihoods(
        negative_elbo_nats=total,
        reconstruction_nats=bounds.mean_estimate(distortion),
        kl_nats=bounds.mean_estimate(rate),
        prior=pair.model_prior,
        bits_per_dimension=total.value / (pair.data.value_count * log(2)),
        without_latents_nats=baseline,
    )


def _nll(
    pair: ServedPair,
    rows: DataArray,
    posterior: EncodedRows,
    budget: Budget,
    report: Callable[[str, float], None],
) -> Nll:
    some = evenly(len(rows), budget.rows)
    log_variance = posterior.log_variance[some] if posterior.log_variance is not None else None
    weighted = bounds.weighted_nll(
        pair,
        rows[some],
        EncodedRows(posterior.mean[some], log_variance),
        budget.samples,
        seed=budget.seed,
        progress=partial(report, f"-log p(x) of {len(some):,} rows with {budget.samples} samples"),
    )
    return Nll(
        nats=weighted.nll,
        bits_per_dimension=weighted.nll.value / (pair.data.value_count * log(2)),
        effective_samples=weighted.effective_samples,
        rows=len(some),
        samples=budget.samples,
        negative_elbo_nats=weighted.negative_elbo,
    )
