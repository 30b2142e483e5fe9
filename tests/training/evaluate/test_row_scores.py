import numpy as np

from tests.training.evaluate.conftest import FEATURES, SPREAD, LinearGaussian, affine_prior, codes
from training.evaluate.bounds import kl_per_dimension
from training.evaluate.row_scores import row_scores
from training.evaluate.rows import EvaluationRows
from training.evaluate.served import ServedPair


def test_rows_score_what_their_mean_latents_decode_to(served: ServedPair, rows: EvaluationRows) -> None:
    found = row_scores(served, rows.test, rows.train)
    posterior = served.encode(rows.test)
    missed = served.expectation(posterior.mean).astype(float) - rows.test
    np.testing.assert_allclose(found.squared_error, (missed**2).sum(1), rtol=1e-6)
    np.testing.assert_allclose(found.scaled_error, ((missed / rows.train.std(0)) ** 2).sum(1), rtol=1e-4)
    expected = (missed**2).sum(1) / SPREAD**2 / 2 + FEATURES * np.log(SPREAD * np.sqrt(2 * np.pi))
    assert found.reconstruction is not None
    assert found.negative_elbo is not None
    np.testing.assert_allclose(found.reconstruction, expected, rtol=1e-4)
    np.testing.assert_allclose(found.negative_elbo - found.reconstruction, kl_per_dimension(posterior).sum(1))
    few = found.of(np.arange(len(rows.test)) < 3)
    assert few.negative_elbo is not None
    np.testing.assert_array_equal(few.negative_elbo, found.negative_elbo[:3])


def test_codes_and_pairs_with_another_prior_have_no_elbo(model: LinearGaussian, rows: EvaluationRows) -> None:
    other = model.served(priors={"learned": affine_prior(0.8, 0.3)}, model_prior="learned")
    for pair in (codes(model.weights), other):
        found = row_scores(pair, rows.test, rows.train)
        assert found.negative_elbo is None
        assert found.reconstruction is not None
