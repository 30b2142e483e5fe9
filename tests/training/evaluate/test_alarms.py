import pytest

from training.card.readme import _limits
from training.evaluate.alarms import alarms
from training.evaluate.comparison import comparison_notes
from training.evaluate.evaluation import Evaluation
from training.evaluate.figures import Estimate
from training.evaluate.report import evaluation_table
from training.evaluate.served import ServedPair


def changed(evaluation: Evaluation, **likelihoods: object) -> Evaluation:
    return evaluation.model_copy(update={"likelihoods": evaluation.likelihoods.model_copy(update=likelihoods)})


def test_a_model_that_learned_is_left_in_peace(evaluation: Evaluation, codes_evaluation: Evaluation) -> None:
    assert list(alarms(evaluation)) == list(alarms(codes_evaluation)) == []
    assert "warning" not in evaluation_table(evaluation)


def test_worse_than_without_latents(evaluation: Evaluation, codes_evaluation: Evaluation) -> None:
    nats = Estimate(value=365.18, standard_error=0.3)
    (said,) = alarms(changed(evaluation, negative_elbo_nats=nats, without_latents_nats=354.89))
    assert said.startswith(
        "worse than without latents: negative ELBO 365.18 nats, one distribution for all rows 354.89"
    )
    (said,) = alarms(changed(codes_evaluation, reconstruction_nats=nats, without_latents_nats=354.89))
    assert "reconstruction alone 365.18" in said
    assert not list(alarms(changed(evaluation, negative_elbo_nats=nats, without_latents_nats=365.2)))


def test_no_active_latent(evaluation: Evaluation) -> None:
    (said,) = alarms(evaluation.model_copy(update={"active_units": 0}))
    assert said.startswith("no latent is active")


@pytest.mark.parametrize(("effective", "is_said"), [(2.4, True), (40.0, False)])
def test_an_estimate_that_rests_on_a_few_samples(evaluation: Evaluation, effective: float, is_said: bool) -> None:
    assert evaluation.likelihoods.nll is not None
    nll = evaluation.likelihoods.nll.model_copy(update={"effective_samples": effective})
    said = list(alarms(changed(evaluation, nll=nll)))
    assert said == ["-log p(x) rests on 2.4 of 50 samples a row, so it is too high; try more samples"] * is_said


def test_terminal_comparison_and_card_say_so(evaluation: Evaluation, served: ServedPair) -> None:
    found = evaluation.model_copy(update={"active_units": 0})
    (said,) = alarms(found)
    assert evaluation_table(found).splitlines()[-1] == f"warning: {said}"
    assert f"a: {said}" in comparison_notes([("a", found), ("b", evaluation)], "*")
    card = " ".join(_limits(served, found).split())
    assert "- No latent is active" in card
    assert "Idle" not in card


def test_worse_than_linear_models_of_the_same_size(evaluation: Evaluation) -> None:
    nats = Estimate(value=365.18, standard_error=0.3)
    (said,) = alarms(changed(evaluation, negative_elbo_nats=nats, ppca_nats=354.89))
    assert said == (
        "worse than probabilistic PCA: negative ELBO 365.18 nats, with 2 components it is 354.89: try more steps"
    )
    assert not list(alarms(changed(evaluation, negative_elbo_nats=nats, ppca_nats=365.0)))
    (said,) = alarms(evaluation.model_copy(update={"explained": 0.7, "pca_explained": 0.8}))
    assert said.startswith("worse than PCA: 30.0% of the variance is lost, by 2 components 20.0%")
    assert said.endswith(": try more steps, or a lower beta")


def test_no_beta_is_advised_to_a_model_without_kl(codes_evaluation: Evaluation) -> None:
    (said,) = alarms(codes_evaluation.model_copy(update={"explained": 0.7, "pca_explained": 0.8}))
    assert said.endswith(": try more steps")
