import pytest
import torch

from tests.support.flat_pictures import spec
from training.bring.likelihood import OfExpectation, family_of
from vaeserve.errors import TrainingError


@pytest.mark.parametrize("family", ["bernoulli", "binomial"])
def test_the_likelihood_of_an_expectation_is_that_of_its_logits(family: str) -> None:
    likelihood = family_of(spec(likelihood=family), ("expectation",))
    assert likelihood is not None
    data = torch.randint(0, 256, (5, 2, 2, 3), dtype=torch.uint8)
    logits = torch.randn(5, 2, 2, 3)
    found = OfExpectation(likelihood)(data, likelihood.expectation(logits))
    torch.testing.assert_close(found, likelihood(data, logits), rtol=1e-4, atol=1e-2)
    extreme = OfExpectation(likelihood)(data, torch.tensor([0.0, 255.0, -3.0, 300.0]).repeat(5, 3).reshape(5, 2, 2, 3))
    assert bool(extreme.isfinite().all())


def test_the_gaussian_is_in_the_datas_units() -> None:
    likelihood = family_of(spec(likelihood="gaussian", likelihood_scale=0.5, scaled_to=[-1, 1]), ("expectation",))
    assert likelihood is not None
    data, expectation = torch.randint(0, 256, (5, 2, 2, 3), dtype=torch.uint8), torch.rand(5, 2, 2, 3) * 255
    normal = torch.distributions.Normal(expectation, 0.5 * 127.5)
    expected = normal.log_prob(data.float()).flatten(1).sum(1)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(OfExpectation(likelihood)(data, expectation), expected, rtol=1e-4, atol=1e-3)
    assert likelihood.describe().constants["scale"] == pytest.approx(63.75, rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"likelihood": "poisson"}, "likelihood: poisson is not one of bernoulli, binomial, gaussian, logistic"),
        ({"likelihood": "gaussian"}, "likelihood_scale: must be given for a gaussian likelihood"),
        ({"likelihood": "binomial", "minimum": 1.0}, "likelihood: binomial is for whole numbers from 0 up"),
        ({"likelihood": "logistic"}, "likelihood: logistic needs scales too"),
    ],
)
def test_likelihoods_that_do_not_fit(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(TrainingError, match=f"^{complaint}"):
        family_of(spec(**changes), ("expectation",))


@pytest.mark.parametrize("family", [None, "logistic"])
def test_likelihoods_that_have_no_logits(family: str | None) -> None:
    with pytest.raises(TrainingError, match=r"^likelihood: must be bernoulli or binomial, because"):
        family_of(spec(likelihood=family), ("logits",))
