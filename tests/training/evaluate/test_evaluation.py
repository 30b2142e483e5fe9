import json
from pathlib import Path

import pytest

from training.evaluate.evaluation import Budget, Evaluation
from vaeserve.errors import TrainingError


def test_json_and_back(evaluation: Evaluation, codes_evaluation: Evaluation) -> None:
    for found in (evaluation, codes_evaluation):
        assert Evaluation.parse(found.to_json()) == found


def test_the_manifests_figures_keep_their_names(evaluation: Evaluation) -> None:
    metrics = evaluation.metrics
    assert metrics["negative_elbo_nats"] == pytest.approx(metrics["reconstruction_nats"] + metrics["kl_nats"])
    assert {"bits_per_dimension", "active_units", "squared_error", "pca_squared_error"} < metrics.keys()
    assert {"nll_nats", "nll_standard_error_nats", "tear_index", "standard_hole_fraction"} < metrics.keys()
    assert metrics["standard_values_density"] == evaluation.priors[0].samples[0].density


def test_what_a_model_does_not_have_is_left_out(codes_evaluation: Evaluation) -> None:
    assert codes_evaluation.metrics.keys() & {"negative_elbo_nats", "kl_nats", "nll_nats", "active_units"} == set()
    assert codes_evaluation.metrics["reconstruction_nats"] > 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "version"),
        ({"rows": 0}, "rows"),
        ({"rows": "many"}, "rows"),
        ({"new": 1}, "new"),
        ({"squared_error": None}, "squared_error"),
    ],
)
def test_what_is_not_understood_is_named(evaluation: Evaluation, change: dict[str, object], said: str) -> None:
    changed = json.loads(evaluation.to_json()) | change
    with pytest.raises(TrainingError, match=rf"^evaluation\.json: {said}: "):
        Evaluation.parse(json.dumps(changed))


def test_a_file_that_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    with pytest.raises(TrainingError, match=r"evaluation\.json: cannot be read: No such file"):
        Evaluation.read(path)
    path.write_text("{")
    with pytest.raises(TrainingError, match=r"evaluation\.json: Invalid JSON"):
        Evaluation.read(path)


def test_large_rows_get_fewer_points() -> None:
    assert [Budget().of_rows(values).points for values in (784, 64 * 64 * 3, 512 * 512 * 3)] == [1000, 325, 200]
    assert Budget(points=60).of_rows(512 * 512 * 3).points == 60
