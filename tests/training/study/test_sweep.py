import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data import Dataset
from training.evaluate.evaluation import EVALUATION_FILE, Evaluation
from training.evaluate.figures import Estimate
from training.run.checkpoint import Checkpoint
from training.run.publish import RunResult
from training.settings.config import Config
from training.settings.resolve import complete, parse_config
from training.study.subject import Subject
from training.study.sweep import FIGURES_FILE, PICTURE_FILE, SweepRun, sweep_table, train_sweep, write_figures
from vaeserve.errors import TrainingError
from vaeserve.package.contents import Parity

GIVEN: dict[str, object] = {"epochs": 3, "latent_size": 4}


@pytest.fixture
def evaluation(run_directory: Path) -> Evaluation:
    """One that no run came to."""
    return Evaluation.read(run_directory / EVALUATION_FILE).model_copy(update={"rows": 7})


@pytest.fixture
def points(evaluation: Evaluation) -> list[SweepRun]:
    found = []
    for beta, rate, distortion in ((0.25, 24.0, 80.0), (1.0, 16.0, 83.0), (4.0, 8.0, 105.0)):
        terms = {"kl_nats": rate, "reconstruction_nats": distortion}
        update = {name: Estimate(value=value, standard_error=1) for name, value in terms.items()}
        likelihoods = evaluation.likelihoods.model_copy(update=update)
        measured = evaluation.model_copy(update={"likelihoods": likelihoods})
        found.append(SweepRun(beta, f"beta-{beta:g}", measured))
    return found


@pytest.fixture
def config(run_directory: Path) -> Config:
    found = Subject.find(run_directory).config
    assert found is not None
    return found


def test_the_table_has_a_line_a_run(points: list[SweepRun]) -> None:
    lines = sweep_table(points).splitlines()
    assert [line.split()[:4] for line in lines[1:4]] == [
        ["0.25", "24.00", "80.00", "104.00"],
        ["1", "16.00", "83.00", "99.00"],
        ["4", "8.00", "105.00", "113.00"],
    ]
    assert len({len(line) for line in lines[:4]}) == 1
    nll = points[0].evaluation.likelihoods.nll
    assert nll is not None
    assert lines[4].endswith(f"those of N(0, I); -log p(x) is of {nll.rows} of the 7 rows")


def test_holes_are_those_of_the_models_own_prior(points: list[SweepRun]) -> None:
    first = points[0].evaluation
    learned = first.priors[0].model_copy(update={"name": "learned", "hole_fraction": 0.77})
    update = {
        "likelihoods": first.likelihoods.model_copy(update={"prior": "learned"}),
        "priors": (*first.priors, learned),
    }
    *_, line, last = sweep_table([points[0]._replace(evaluation=first.model_copy(update=update))]).splitlines()
    assert "77.0%" in line
    assert "those of learned" in last


def test_figures_and_picture_are_written_and_repeat(points: list[SweepRun], tmp_path: Path) -> None:
    write_figures(tmp_path, points)
    listed = json.loads((tmp_path / FIGURES_FILE).read_text())
    assert [(each["beta"], each["run"], each["metrics"]["kl_nats"]) for each in listed] == [
        (0.25, "beta-0.25", 24),
        (1, "beta-1", 16),
        (4, "beta-4", 8),
    ]
    content = (tmp_path / PICTURE_FILE).read_bytes()
    with Image.open(tmp_path / PICTURE_FILE) as picture:
        assert picture.size == (720, 540)
        assert len(set(picture.convert("L").tobytes())) > 10
    write_figures(tmp_path, points)
    assert (tmp_path / PICTURE_FILE).read_bytes() == content
    with pytest.raises(TrainingError, match=r"nowhere/rate_distortion\.json: cannot be written"):
        write_figures(tmp_path / "nowhere", points)


def test_runs_that_are_done_are_left_alone(run_directory: Path, config: Config, tmp_path: Path) -> None:
    done = Path(shutil.copytree(run_directory, tmp_path / "beta-1"))
    before = {path: path.stat().st_mtime_ns for path in done.rglob("*")}
    (point,) = train_sweep(config, GIVEN, [1.0], tmp_path)
    assert (point.beta, point.run) == (1, "beta-1")
    assert point.evaluation == Evaluation.read(run_directory / EVALUATION_FILE)
    assert {path: path.stat().st_mtime_ns for path in done.rglob("*")} == before


def test_what_is_missing_is_trained_in_order_of_beta(
    evaluation: Evaluation, config: Config, run_directory: Path, tmp_path: Path
) -> None:
    shutil.copytree(run_directory, tmp_path / "beta-1")
    trained = []

    def train(directory: Path, last: Checkpoint, dataset: Dataset) -> RunResult:
        trained.append((directory.name, last.config.beta, last.epoch, last.config.latent_size))
        package = Subject.find(run_directory).package
        return RunResult(package, Parity(batch_sizes=(), checks=()), evaluation, dataset, last.config)

    points = train_sweep(config, GIVEN, [8, 0.25, 1, 8, 0.2500001], tmp_path, train)
    close = ("beta-0.2500001", 0.2500001, 0, 4)
    assert trained == [("beta-0.25", 0.25, 0, 4), close, ("beta-8", 8.0, 0, 4)]
    assert [point.beta for point in points] == [0.25, 0.2500001, 1, 8]
    assert [point.evaluation == evaluation for point in points] == [True, True, False, True]
    train_sweep(config, GIVEN, [8], tmp_path, train)  # it was interrupted before its evaluation: it goes on
    assert trained[3:] == [("beta-8", 8.0, 0, 4)]


def test_a_run_with_other_settings_is_not_taken_for_this_one(
    run_directory: Path, config: Config, tmp_path: Path
) -> None:
    shutil.copytree(run_directory, tmp_path / "beta-1")
    with pytest.raises(TrainingError, match="--epochs: the run was started with 3, it cannot be resumed with 9"):
        train_sweep(config, {**GIVEN, "epochs": 9}, [1.0], tmp_path)
    shutil.copytree(run_directory, tmp_path / "beta-2")
    with pytest.raises(TrainingError, match=r"--beta: the run was started with 1\.0, it cannot be resumed with 2\.0"):
        train_sweep(config, GIVEN, [2.0], tmp_path)


def test_runs_on_other_data_are_not_taken_for_these(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(80, 3))
    for name in ("first", "second"):
        np.save(tmp_path / f"{name}.npy", rows if name == "first" else 2 * rows)
    given: dict[str, object] = {"hidden_sizes": [4], "latent_size": 2, "epochs": 1, "evaluation_samples": 2}
    files = (str(tmp_path / f"{name}.npy") for name in ("first", "second"))
    first, second = (parse_config(complete({**given, "dataset": file}, None)) for file in files)
    (point,) = train_sweep(first, {"dataset": first.dataset}, [1.0], tmp_path / "runs")
    refused = "was trained on other data than this second, or on another split"
    with pytest.raises(TrainingError, match=refused):
        train_sweep(second, {"dataset": second.dataset}, [1.0], tmp_path / "runs")
    Path(first.dataset).replace(second.dataset)  # the same rows elsewhere
    assert train_sweep(second, {"dataset": second.dataset}, [1.0], tmp_path / "runs") == [point]
    np.save(second.dataset, rows[::-1])
    with pytest.raises(TrainingError, match=refused):
        train_sweep(second, {"dataset": second.dataset}, [1.0], tmp_path / "runs")


def test_a_model_without_a_kl_is_refused(config: Config, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="--model: ae has no KL"):
        train_sweep(config.model_copy(update={"model": "ae"}), GIVEN, [1.0], tmp_path)
    assert not list(tmp_path.iterdir())
