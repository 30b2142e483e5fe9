from math import log

import pytest

from tests.training.evaluate.conftest import BUDGET, FEATURES, LinearGaussian, affine_prior
from training.evaluate.probability import likelihoods_of
from training.evaluate.rows import EvaluationRows


def test_the_estimate_takes_the_rows_of_the_budget_and_the_bound_takes_all(
    model: LinearGaussian, rows: EvaluationRows
) -> None:
    served, stages = model.served(), list[str]()
    budget = BUDGET._replace(rows=20)
    found = likelihoods_of(served, rows, served.encode(rows.test), budget, lambda name, _: stages.append(name))
    assert list(dict.fromkeys(stages)) == ["ELBO", "importance weights"]
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
