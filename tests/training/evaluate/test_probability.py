from math import log

import pytest

from tests.training.evaluate.conftest import BUDGET, FEATURES, LinearGaussian, affine_prior
from training.evaluate.probability import likelihoods_of
from training.evaluate.rows import EncodedRows, EvaluationRows


def test_the_estimate_takes_the_rows_of_the_budget_and_the_bound_takes_all(
    model: LinearGaussian, rows: EvaluationRows
) -> None:
    served, stages = model.served(), list[str]()
    budget = BUDGET._replace(rows=20)
    found = likelihoods_of(served, rows, served.encode(rows.test), budget, lambda name, _: stages.append(name))
    assert list(dict.fromkeys(stages)) == [
        f"ELBO of {len(rows.test)} rows with {BUDGET.draws} samples",
        f"-log p(x) of 20 rows with {BUDGET.samples} samples",
    ]
    assert found.nll is not None
    assert (found.nll.rows, found.nll.samples) == (20, BUDGET.samples)
    elbo, kl = found.negative_elbo_nats, found.kl_nats
    assert elbo is not None
    assert kl is not None
    assert found.bits_per_dimension == pytest.approx(elbo.value / (FEATURES * log(2)))
    assert sum(found.kl_per_dimension_nats or ()) == pytest.approx(kl.value)
    assert found.prior == "standard"
    assert found.nll.negative_elbo_nats != pytest.approx(elbo.value)


def test_the_models_prior_is_named_and_has_no_kl_by_dimension(model: LinearGaussian, rows: EvaluationRows) -> None:
    served = model.served(priors={"learned": affine_prior(0.8, 0.0)}, model_prior="learned")
    found = likelihoods_of(served, rows, served.encode(rows.test), BUDGET, lambda *_: None)
    assert (found.prior, found.kl_per_dimension_nats) == ("learned", None)
    assert found.kl_nats is not None


def test_of_codes_everything_is_exact(model: LinearGaussian, rows: EvaluationRows) -> None:
    served = model.served(priors={"learned": affine_prior(0.8, 0.0)}, model_prior="learned")
    served.levels = (5,) * served.latent_size
    latents = EncodedRows(served.encode(rows.test).mean, None)
    found = likelihoods_of(served, rows, latents, BUDGET, lambda *_: None)
    rate, distortion = -served.log_prior(latents.mean), -served.score(rows.test, latents.mean)
    assert found.kl_nats is not None
    assert found.reconstruction_nats is not None
    assert found.negative_elbo_nats is not None
    assert found.kl_nats.value == pytest.approx(rate.mean())
    assert found.reconstruction_nats.value == pytest.approx(distortion.mean())
    assert found.negative_elbo_nats.value == pytest.approx((rate + distortion).mean())
    assert found.negative_elbo_nats.standard_error == pytest.approx((rate + distortion).std(ddof=1) / 200**0.5)
    assert found.bits_per_dimension == pytest.approx((rate + distortion).mean() / (FEATURES * log(2)))
    assert (found.prior, found.nll, found.kl_per_dimension_nats) == ("learned", None, None)
