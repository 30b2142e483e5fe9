import numpy as np
import pytest

from tests.training.evaluate.conftest import (
    BUDGET,
    FEATURES,
    LATENT,
    LinearGaussian,
    affine_prior,
    linear_decoder,
    linear_encoder,
    pair,
)
from training.evaluate.evaluation import Evaluation
from training.evaluate.evidence import evaluate_pair
from training.evaluate.reconstruction import pca
from training.evaluate.rows import EvaluationRows
from training.evaluate.served import ServedPair
from vaeserve.errors import TrainingError


def test_a_model_that_is_the_data_passes(model: LinearGaussian, evaluation: Evaluation, rows: EvaluationRows) -> None:
    nll = evaluation.likelihoods.nll
    elbo = evaluation.likelihoods.negative_elbo_nats
    assert nll is not None
    assert elbo is not None
    truth = -model.log_density(np.asarray(rows.test, np.float32)).mean()
    assert nll.nats.value == pytest.approx(truth, abs=0.05)
    assert truth < nll.negative_elbo_nats
    assert nll.bits_per_dimension == pytest.approx(nll.nats.value / FEATURES / np.log(2))
    assert (evaluation.active_units, nll.rows, nll.samples) == (LATENT, len(rows.test), BUDGET.samples)
    assert evaluation.aggregate_kl_nats == pytest.approx(0, abs=0.1)
    assert evaluation.smoothness.tear_index == pytest.approx(1, abs=1e-3)
    standard = evaluation.priors[0]
    assert standard.hole_fraction < 0.05
    assert standard.mmd_squared < 4 * standard.mmd_squared_chance
    assert standard.cycle_deviations == pytest.approx(0, abs=1)
    assert evaluation.squared_error == pytest.approx(evaluation.pca_squared_error, rel=0.2)
    assert evaluation.explained == pytest.approx(evaluation.pca_explained, abs=0.05)


def test_only_the_wrong_prior_fails(model: LinearGaussian, rows: EvaluationRows) -> None:
    served = model.served(priors={"far": affine_prior(1.0, 30.0)})
    found = evaluate_pair(served, rows, BUDGET)
    standard, far = found.priors
    assert far.hole_fraction == 1
    assert far.mmd_squared > 10 * far.mmd_squared_chance
    assert found.metrics["far_values_density"] == found.metrics["far_values_coverage"] == 0
    assert found.metrics["standard_values_density"] > 0.5
    assert standard.hole_fraction < 0.05


def test_a_posterior_that_is_the_prior_leaves_no_holes(model: LinearGaussian, rows: EvaluationRows) -> None:
    zeros = np.zeros(LATENT, np.float32)
    collapsed = pair(
        linear_encoder(np.zeros((FEATURES, LATENT), np.float32), zeros, zeros), linear_decoder(model.weights)
    )
    found = evaluate_pair(collapsed, rows, BUDGET)
    assert found.active_units == 0
    assert found.priors[0].hole_fraction < 0.05


def test_codes_have_what_codes_can_have(codes_evaluation: Evaluation) -> None:
    found = codes_evaluation.likelihoods
    assert found.reconstruction_nats is not None
    assert found.model_dump(exclude={"reconstruction_nats", "prior"}, exclude_none=True) == {}
    assert codes_evaluation.active_units is None
    assert codes_evaluation.priors[0].cycle_deviations is None
    assert codes_evaluation.priors[0].cycle_distance < 1e-4


def test_the_same_graphs_and_rows_give_the_same_figures(
    model: LinearGaussian, evaluation: Evaluation, rows: EvaluationRows
) -> None:
    np.random.default_rng().normal(size=3)
    assert evaluate_pair(model.served(), rows, BUDGET) == evaluation
    assert evaluate_pair(model.served(), rows, BUDGET._replace(seed=5)) != evaluation


def test_progress_is_reports_in_order(model: LinearGaussian, rows: EvaluationRows) -> None:
    reports: list[tuple[str, float]] = []
    evaluate_pair(model.served(), rows, BUDGET, lambda name, share: reports.append((name, share)))
    assert list(dict(reports)) == [
        "reconstruction of 200 rows",
        f"ELBO of 200 rows with {BUDGET.draws} samples",
        f"-log p(x) of {min(BUDGET.rows, 200)} rows with {BUDGET.samples} samples",
        "continuity",
        "PCA",
        "completeness",
    ]
    assert all(0 <= share <= 1 for _, share in reports)
    assert reports[-1] == ("completeness", 1)


def test_a_pair_without_a_likelihood_has_no_nats(rows: EvaluationRows, model: LinearGaussian) -> None:
    encoder = linear_encoder(np.zeros((FEATURES, LATENT), np.float32), np.zeros(LATENT, np.float32), None)
    served = pair(encoder, linear_decoder(model.weights), "none")
    del served._graphs["likelihood"]
    assert evaluate_pair(served, rows, BUDGET).likelihoods.reconstruction_nats is None


def test_few_held_out_rows_are_enough_and_too_few_are_refused(served: ServedPair, rows: EvaluationRows) -> None:
    few = evaluate_pair(served, rows._replace(test=rows.test[:4], test_labels=None), BUDGET)
    assert few.rows == 4
    assert 0 <= few.priors[0].hole_fraction <= 1
    with pytest.raises(TrainingError, match=r"more than 5 training rows .* not 5 and 200"):
        evaluate_pair(served, rows._replace(train=rows.train[:5]))


def test_a_broken_encoder_is_named(model: LinearGaussian, rows: EvaluationRows) -> None:
    encoder = linear_encoder(np.full((FEATURES, LATENT), np.nan, np.float32), np.zeros(LATENT, np.float32), None)
    with pytest.raises(TrainingError, match=r"encoder\.mean: .* not finite"):
        evaluate_pair(pair(encoder, linear_decoder(model.weights), "none"), rows, BUDGET)


def test_a_broken_decoder_is_named(model: LinearGaussian, rows: EvaluationRows) -> None:
    encoder = linear_encoder(np.ones((FEATURES, LATENT), np.float32), np.zeros(LATENT, np.float32), None)
    decoder = linear_decoder(np.full((LATENT, FEATURES), np.nan, np.float32))
    with pytest.raises(TrainingError, match=r"^decoder\.expectation: .* not finite"):
        evaluate_pair(pair(encoder, decoder, "none"), rows, BUDGET)


def test_probabilistic_pca_stands_beside_what_a_density_can_be_compared_with(
    model: LinearGaussian, rows: EvaluationRows
) -> None:
    served = model.served()
    served.family = "gaussian"
    likelihoods = evaluate_pair(served, rows, BUDGET).likelihoods
    linear = pca(rows.train, rows.test, LATENT)
    assert linear is not None
    assert likelihoods.ppca_nats == linear.nats
    assert likelihoods.ppca_bits_per_dimension == pytest.approx(linear.nats / (FEATURES * np.log(2)))
    served.family = None
    assert evaluate_pair(served, rows, BUDGET).likelihoods.ppca_nats is None
