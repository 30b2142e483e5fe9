import pytest

from training.evaluate.evaluation import Evaluation
from training.evaluate.figures import Drawn, PriorEvidence
from training.evaluate.report import evaluation_table
from training.evaluate.summary import evaluation_summary


def prior(evaluation: Evaluation, name: str, coverage: float | None, density: float = 1.0) -> PriorEvidence:
    samples = tuple(Drawn(features=space, density=density, coverage=coverage) for space in ("values", "classifier"))
    return evaluation.priors[0].model_copy(update={"name": name, "samples": samples})


def with_priors(evaluation: Evaluation, *priors: PriorEvidence) -> Evaluation:
    return evaluation.model_copy(update={"priors": priors})


def test_a_good_run_with_a_better_prior(evaluation: Evaluation) -> None:
    priors = prior(evaluation, "standard", 0.85), prior(evaluation, "mixture", 1.02, 1.6)
    found = with_priors(evaluation, *priors).model_copy(update={"explained": 0.878, "pca_explained": 0.667})
    assert evaluation_summary(found) == (
        "reconstructs held-out rows 63% better than PCA with 2 components (12% of the variance is lost, by PCA 33%)",
        "samples from N(0, I) cover 85% of the real rows that held-out rows cover",
        "samples from prior mixture cover all of the real rows that held-out rows cover: use --prior mixture",
    )
    assert evaluation_table(found).splitlines()[1:4] == [f"  {line}" for line in evaluation_summary(found)]


@pytest.mark.parametrize(
    ("explained", "of_pca", "expected"),
    [
        (0.5, 0.75, "100% worse than PCA with 2 components (50% of the variance is lost, by PCA 25%)"),
        (0.7501, 0.75, "as well as PCA with 2 components (25% of the variance is lost, by PCA 25%)"),
        (-0.3, 0.75, "no better than the mean of the training rows would"),
        (0.9, None, ": 10% of the variance is lost; PCA with 2 components loses none"),
        (None, None, "with a squared error of 1.25 a row"),
    ],
)
def test_reconstructions_that_are_bad_or_cannot_be_compared(
    evaluation: Evaluation, explained: float | None, of_pca: float | None, expected: str
) -> None:
    found = evaluation.model_copy(update={"explained": explained, "pca_explained": of_pca, "squared_error": 1.25})
    assert evaluation_summary(found)[0].removeprefix("reconstructs held-out rows").strip() == expected


def test_the_worst_feature_space_counts(evaluation: Evaluation) -> None:
    samples = (
        Drawn(features="values", density=1.0, coverage=0.9),
        Drawn(features="classifier", density=0.3, coverage=0.6),
    )
    found = with_priors(evaluation, evaluation.priors[0].model_copy(update={"samples": samples}))
    assert evaluation_summary(found)[1] == (
        "samples from N(0, I) cover 60% of the real rows that held-out rows cover, but few of them lie among real "
        "rows (density 0.30)"
    )


@pytest.mark.parametrize(
    ("coverage", "expected"),
    [(0.95, "has no other prior"), (0.5, "has no other prior; a mixture may cover more: --mixture-components")],
)
def test_a_single_prior(evaluation: Evaluation, coverage: float, expected: str) -> None:
    assert evaluation_summary(with_priors(evaluation, prior(evaluation, "standard", coverage)))[2] == expected


@pytest.mark.parametrize(("coverage", "density"), [(0.95, 1.0), (1.0, 0.4)])
def test_a_prior_that_is_not_clearly_better_is_not_advised(
    evaluation: Evaluation, coverage: float, density: float
) -> None:
    priors = prior(evaluation, "standard", 0.94), prior(evaluation, "mixture", coverage, density)
    line = evaluation_summary(with_priors(evaluation, *priors))[2]
    assert line.endswith("which is no better: N(0, I) will do")
    assert "--prior" not in line


def test_where_held_out_rows_reach_nothing_no_sample_is_judged(evaluation: Evaluation) -> None:
    lines = evaluation_summary(
        with_priors(evaluation, prior(evaluation, "standard", None), prior(evaluation, "mixture", None))
    )
    assert lines[1:] == (
        "cannot judge samples: even held-out rows lie near no training row",
        "cannot compare priors, for the same reason",
    )


def test_pairs_that_were_measured_have_three_lines(evaluation: Evaluation, codes_evaluation: Evaluation) -> None:
    """The posterior mean of a model with noise shrinks towards the origin, PCA does not."""
    first, *others = evaluation_summary(evaluation)
    assert "% worse than PCA with 2 components" in first
    assert others == [
        "samples from N(0, I) cover 79% of the real rows that held-out rows cover",
        "has no other prior; a mixture may cover more: --mixture-components",
    ]
    assert "% of the variance is lost" in evaluation_summary(codes_evaluation)[0]


def test_samples_are_those_of_the_models_own_prior(learned_evaluation: Evaluation) -> None:
    priors = prior(learned_evaluation, "standard", 0.2), prior(learned_evaluation, "learned", 0.96)
    found = evaluation_summary(with_priors(learned_evaluation, *priors))
    assert found[1] == "samples from learned cover 96% of the real rows that held-out rows cover"
    assert found[2].endswith("which is no better: learned will do")
