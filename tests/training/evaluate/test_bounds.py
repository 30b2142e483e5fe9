from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.training.evaluate.conftest import LATENT, LinearGaussian, affine_prior, codes
from training.evaluate.bounds import (
    Weighted,
    WeightSums,
    draw_latents,
    elbo,
    kl_per_dimension,
    mean_estimate,
    posterior_noise,
    weighted_nll,
)
from training.evaluate.figures import Estimate
from training.evaluate.rows import Array32, Array64, EncodedRows
from training.evaluate.served import ServedPair
from vaeserve.errors import TrainingError


@pytest.fixture(scope="module")
def rows(model: LinearGaussian) -> Array32:
    return model.draw(200, 1)


def weighted(served: ServedPair, rows: Array32, samples: int, seed: int = 0) -> Weighted:
    return weighted_nll(served, rows, served.encode(rows), samples, seed=seed, progress=lambda _: None)


def test_the_weighted_estimate_finds_the_known_density(
    model: LinearGaussian, served: ServedPair, rows: Array32
) -> None:
    truth = mean_estimate(-model.log_density(rows))
    found = weighted(served, rows, 300)
    assert found.nll.value == pytest.approx(truth.value, abs=0.01)
    assert found.nll.standard_error == pytest.approx(truth.standard_error, rel=0.05)


def test_the_elbo_misses_the_density_by_the_posteriors_divergence(model: LinearGaussian, rows: Array32) -> None:
    served, true = model.served(widen=2.0), model.posterior_covariance
    variances = 2 * np.diag(true)
    ratios = variances * np.diag(np.linalg.inv(true))
    gap = 0.5 * (ratios.sum() - LATENT + np.linalg.slogdet(true)[1] - np.log(variances).sum())
    truth = -model.log_density(rows).mean()
    found = elbo(served, rows, served.encode(rows), 64, seed=0, progress=lambda _: None)
    assert gap > 0.3
    assert found.total.value == pytest.approx(truth + gap, abs=0.05)
    assert found.total.value == pytest.approx(found.reconstruction.value + found.kl.value)
    assert weighted(served, rows, 64).negative_elbo == pytest.approx(truth + gap, abs=0.05)


def test_the_estimate_falls_towards_the_truth_with_more_samples(model: LinearGaussian, rows: Array32) -> None:
    wide = model.served(widen=4.0)
    nats = [weighted(wide, rows, samples).nll.value for samples in (1, 8, 64, 256)]
    assert all(few > many for few, many in pairwise(nats))
    assert nats[-1] == pytest.approx(-model.log_density(rows).mean(), abs=0.1)


def test_where_the_posterior_is_the_true_one_every_sample_counts(model: LinearGaussian) -> None:
    orthogonal = LinearGaussian(np.eye(LATENT, model.weights.shape[1], dtype=np.float32))
    rows = orthogonal.draw(50, 2)
    found = weighted(orthogonal.served(), rows, 20)
    assert found.effective_samples == pytest.approx(20, rel=1e-4)
    assert found.negative_elbo == pytest.approx(found.nll.value, abs=1e-4)
    assert found.nll.value == pytest.approx(-orthogonal.log_density(rows).mean(), abs=1e-4)


def test_the_kl_is_what_draws_say(served: ServedPair, rows: Array32) -> None:
    posterior, draws = served.encode(rows), 200
    assert posterior.log_variance is not None
    total = 0.0
    for seed in range(draws):
        noise, latent = posterior_noise(len(rows), LATENT, seed), draw_latents(posterior, seed)
        total += 0.5 * float((latent**2 - noise**2 - posterior.log_variance).sum(1).mean())
    assert kl_per_dimension(posterior).sum(1).mean() == pytest.approx(total / draws, rel=0.01)


def test_under_another_prior_the_estimate_finds_the_density_of_that_model(model: LinearGaussian, rows: Array32) -> None:
    scale, shift = 0.8, 0.3
    served = model.served(priors={"other": affine_prior(scale, shift)}, model_prior="other")
    scaled = LinearGaussian(np.float32(scale) * model.weights)
    truth = -scaled.log_density(rows - np.float32(shift) * model.weights.sum(0)).mean()
    found = elbo(served, rows, served.encode(rows), 64, seed=0, progress=lambda _: None)
    tighter = weighted(served, rows, 300)
    assert tighter.nll.value == pytest.approx(truth, abs=0.02)
    assert found.total.value == pytest.approx(tighter.negative_elbo, abs=0.05)
    assert found.total.value == pytest.approx(found.reconstruction.value + found.kl.value)
    assert found.total.value > truth + 0.01
    assert abs(found.kl.value - kl_per_dimension(served.encode(rows)).sum(1).mean()) > 0.1


def test_an_estimated_kl_is_near_the_exact_one(model: LinearGaussian, served: ServedPair, rows: Array32) -> None:
    as_graph = model.served(priors={"same": affine_prior(1.0, 0.0)}, model_prior="same")
    exact, estimated = (
        elbo(each, rows, each.encode(rows), 64, seed=0, progress=lambda _: None) for each in (served, as_graph)
    )
    assert estimated.kl.value == pytest.approx(exact.kl.value, abs=0.02)
    assert estimated.reconstruction == exact.reconstruction
    assert weighted(as_graph, rows, 20).nll.value == pytest.approx(weighted(served, rows, 20).nll.value, abs=1e-4)


def test_the_seed_decides_every_draw(served: ServedPair, rows: Array32) -> None:
    assert weighted(served, rows, 5) == weighted(served, rows, 5)
    assert weighted(served, rows, 5) != weighted(served, rows, 5, seed=1)


def test_a_code_is_drawn_as_it_is(model: LinearGaussian, rows: Array32) -> None:
    posterior = codes(model.weights).encode(rows)
    np.testing.assert_array_equal(draw_latents(posterior, 3), posterior.mean)
    with pytest.raises(AssertionError, match="no posterior"):
        kl_per_dimension(EncodedRows(posterior.mean, None))


@given(npst.arrays(float, st.tuples(st.integers(1, 30), st.just(3)), elements=st.floats(-1e5, 1e5)))
def test_sums_of_weights_of_any_size(log_weights: Array64) -> None:
    sums = WeightSums(3)
    for weights in log_weights:
        sums.add(weights)
    count = len(log_weights)
    np.testing.assert_allclose(sums.log_mean, np.logaddexp.reduce(log_weights) - np.log(count), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(sums.mean, log_weights.mean(0), atol=1e-6)
    assert (sums.effective_samples > 1 - 1e-9).all()
    assert (sums.effective_samples < count + 1e-9).all()


def test_samples_count_by_their_weights() -> None:
    sums = WeightSums(1)
    for weight in (1.0, 2.0, 5.0):  # each outgrows those before it
        sums.add(np.log([weight]))
    assert sums.effective_samples == pytest.approx(8**2 / (1 + 4 + 25))


def test_one_row_has_no_spread() -> None:
    assert mean_estimate(np.array([2.0])) == Estimate(value=2.0, standard_error=0.0)


@pytest.mark.parametrize("wrong", [np.inf, -np.inf, np.nan])
def test_a_mean_that_is_not_finite_names_the_row(wrong: float) -> None:
    with pytest.raises(TrainingError, match="log-likelihood: not finite for 2 of 4 held-out rows, first for row 1"):
        mean_estimate(np.array([1.0, wrong, 2.0, wrong]))
