import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.support.make_tiny_package import TINY
from training.data import Dataset
from training.evaluate.evaluation import EVALUATION_FILE, Evaluation
from training.evaluate.evidence import ReportStage
from training.run.publish import evaluation_rows_of
from training.settings.directory import PACKAGE_DIRECTORY
from training.settings.source import Source
from training.study.subject import Subject, validation_rows_of
from vaeserve.errors import PackageError, TrainingError
from vaeserve.package.directory import ModelPackage


def never() -> ReportStage:
    raise AssertionError("nothing was to be measured")


def test_a_run_knows_its_data_its_budget_and_its_evaluation(run_directory: Path) -> None:
    run = Subject.find(run_directory)
    assert (run.name, run.source) == ("run", Source(dataset="digits"))
    assert run.epochs == (3, 3)
    curve = run.curve()
    assert curve is not None
    assert [point.steps for point in curve.points] == [12, 24, 36]
    assert (run.budget.rows, run.budget.samples) == (1000, 10)
    assert run.evaluation(never) == Evaluation.read(run_directory / EVALUATION_FILE)


def test_a_package_of_well_known_data_tells_where_it_is(run_directory: Path) -> None:
    package = Subject.find(run_directory / PACKAGE_DIRECTORY)
    assert (package.name, package.config, package.source) == ("run", None, Source(dataset="digits"))
    assert len(package.load({}).test) == 360
    assert (package.epochs, package.curve()) == ((3, 3), None)


def test_what_was_not_evaluated_yet_is_and_keeps_it(run_directory: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run_directory, tmp_path / "copy"))
    (copy / EVALUATION_FILE).unlink()
    found = Subject.find(copy).evaluation(lambda: lambda _, __: None)
    kept = Evaluation.read(run_directory / EVALUATION_FILE)
    assert found == kept == Evaluation.read(copy / EVALUATION_FILE)


def test_a_package_is_left_as_it_is(run_directory: Path, tmp_path: Path) -> None:
    package = Path(shutil.copytree(run_directory / PACKAGE_DIRECTORY, tmp_path / "package"))
    found = Evaluation.read(run_directory / EVALUATION_FILE)
    before = {path: path.read_bytes() for path in package.iterdir()}
    assert Subject.find(package).keep(found) is None
    assert {path: path.read_bytes() for path in package.iterdir()} == before


def test_a_package_without_provenance_asks_for_data(tmp_path: Path) -> None:
    package = Subject.find(TINY)
    with pytest.raises(TrainingError, match=r"tiny: does not say where its data is: name it with --data"):
        package.load({})
    with pytest.raises(TrainingError, match=r"tiny: has no evaluation\.json and does not say where its data is$"):
        package.evaluation(never)
    path = tmp_path / "rows.npy"
    np.save(path, np.random.default_rng(0).integers(0, 17, (60, 4, 4, 1)).astype(np.uint8))
    assert package.load({"dataset": str(path)}).spec.shape == (4, 4, 1)
    with pytest.raises(TrainingError, match=r"digits: its rows are uint8 of 8 x 8 x 1, the model takes uint8 of 4 x"):
        package.load({"dataset": "digits"})


def test_other_data_forgets_what_fitted_the_first(run_directory: Path) -> None:
    run = Subject.find(run_directory)
    assert run.config is not None
    shifted = run._replace(config=run.config.model_copy(update={"dataset": "mnist", "data_dir": "elsewhere"}))
    assert len(shifted.load({"dataset": "digits"}).test) == 360
    assert len(run.load({"dataset": "digits", "validation_rows": 100}).validation) == 100


def test_rows_that_a_run_was_trained_on_are_not_held_out_unasked(run_directory: Path, tmp_path: Path) -> None:
    run = Subject.find(run_directory)
    package = Subject.find(run_directory / PACKAGE_DIRECTORY)
    refused = r"^digits: is not the data or split that the model was trained on"
    for subject in (run, package):
        assert len(subject.load({}).test) == 360
        with pytest.raises(TrainingError, match=refused):
            subject.load({"validation_rows": 100})
        manifest = subject.package.manifest
        assert manifest.provenance is not None
        provenance = manifest.provenance.model_copy(update={"data_sha256": "0" * 64})
        changed = manifest.model_copy(update={"provenance": provenance})
        other = subject._replace(package=ModelPackage(subject.package.directory, changed))
        with pytest.raises(TrainingError, match=refused):
            other.load({})
        assert len(other.load({"dataset": "digits"}).test) == 360


@pytest.mark.parametrize("part", ["test", "validation"])
def test_values_that_a_server_would_refuse_are_refused(run_directory: Path, dataset: Dataset, part: str) -> None:
    run = Subject.find(run_directory)
    held_out = dataset._replace(validation=dataset.test, labels=None)
    bad = held_out._replace(**{part: held_out.test + 1})  # type: ignore[arg-type]
    rows_of_part = {"test": evaluation_rows_of, "validation": validation_rows_of}
    with pytest.raises(TrainingError, match=r"run: rows have values from 1 to 17, the model takes .* \[0, 16\]$"):
        run.measure(rows_of_part[part](bad), run.budget, None)
    other = {"test": "validation", "validation": "test"}[part]
    assert run.measure(rows_of_part[other](bad), run.budget, None).rows == 360


def test_what_is_no_run_or_not_done_is_said(run_directory: Path, tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"is neither a run \(it has no checkpoint.* nor a package \(it has no manifest"
    ):
        Subject.find(tmp_path)
    with pytest.raises(TrainingError, match="is neither"):
        Subject.find(tmp_path / "nowhere")
    unfinished = Path(shutil.copytree(run_directory, tmp_path / "unfinished"))
    shutil.rmtree(unfinished / PACKAGE_DIRECTORY)
    with pytest.raises(TrainingError, match=r"not done: continue it with vae train --resume"):
        Subject.find(unfinished)


def test_a_damaged_package_is_refused(run_directory: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run_directory, tmp_path / "copy"))
    with (copy / PACKAGE_DIRECTORY / "decoder.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(PackageError, match=r"decoder\.onnx: wrong checksum"):
        Subject.find(copy)


def test_validation_rows_take_the_place_of_test_rows(dataset: Dataset, run_directory: Path) -> None:
    with pytest.raises(TrainingError, match=r"digits: has no validation rows"):
        validation_rows_of(dataset)
    some = Subject.find(run_directory).load({"dataset": "digits", "validation_rows": 100})
    rows = validation_rows_of(some)
    np.testing.assert_array_equal(rows.test, some.validation.numpy())
    assert rows.test_labels is not None
    assert (len(rows.test_labels), len(rows.train)) == (100, 1337)
