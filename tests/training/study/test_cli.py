import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.support import make_float_package
from training.evaluate.evaluation import EVALUATION_FILE, Evaluation
from training.settings.directory import PACKAGE_DIRECTORY
from training.study import cli
from training.study.sweep import FIGURES_FILE, PICTURE_FILE
from vaeserve.errors import TrainingError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def run(run_directory: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run_directory, tmp_path / "copy"))


def test_evaluate_prints_and_keeps_what_it_found(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.evaluate([str(run), "--rows", "20", "--samples", "3"]) == 0
    said = capsys.readouterr().out
    assert "nats; 3 samples for each of 20 rows" in said
    assert said.splitlines()[-1] == f"written to {run / EVALUATION_FILE}"
    nll = Evaluation.read(run / EVALUATION_FILE).likelihoods.nll
    assert nll is not None
    assert (nll.rows, nll.samples) == (20, 3)


def test_figures_of_other_rows_are_not_kept(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / EVALUATION_FILE).read_bytes()
    quick = ["--samples", "1", "--rows", "1"]
    assert (
        cli.evaluate([str(run), "--data", "digits", "--validation", "--validation-rows", "50", "--json", *quick]) == 0
    )
    assert Evaluation.parse(capsys.readouterr().out).rows == 50
    assert cli.evaluate([str(run / PACKAGE_DIRECTORY), *quick]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("not written")
    assert (run / EVALUATION_FILE).read_bytes() == before


@pytest.mark.parametrize("posterior", ["none", "gaussian"])  # with neither is there a likelihood
@pytest.mark.parametrize("flag", ["--rows", "--samples"])
def test_a_budget_for_what_is_not_estimated_is_refused(tmp_path: Path, flag: str, posterior: str) -> None:
    make_float_package.make(tmp_path / "package", (3,), posterior=posterior)
    with pytest.raises(TrainingError, match=f"^{flag}: has no effect: without a posterior and a likelihood, -log"):
        cli.evaluate([str(tmp_path / "package"), flag, "5"])


def test_compare_prints_a_table_markdown_or_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = shutil.copytree(run, run.with_name("other"))
    paths = [str(run), str(other)]
    assert cli.compare(paths) == 0
    table = capsys.readouterr().out
    assert table.split()[:2] == ["copy", "other"]
    assert " ".join(table.splitlines()[1].split()) == "exported epoch 3 of 3 3 of 3"
    assert cli.compare([*paths, "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("| | copy | other |\n")
    assert cli.compare([*paths, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures.keys() == {"copy", "other"}
    assert (figures["copy"]["exported_epoch"], figures["copy"]["epochs_done"]) == (3, 3)
    assert figures["copy"]["rows"] > 0


def test_compare_draws_the_learning_curves_of_runs(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = run.with_name("curves.png")
    assert cli.compare([str(run), "--curves", str(picture)]) == 0
    assert f"learning curves written to {picture}\n" in capsys.readouterr().err
    with Image.open(picture) as image:
        assert image.format == "PNG"
    package = Path(shutil.copytree(run / PACKAGE_DIRECTORY, run.with_name("package")))
    shutil.copy(run / EVALUATION_FILE, package)
    assert cli.compare([str(run), str(package), "--curves", str(picture)]) == 0
    assert "without a learning curve: package\n" in capsys.readouterr().err
    with pytest.raises(TrainingError, match="--curves: none of these is a run whose metrics"):
        cli.compare([str(package), "--curves", str(picture)])


def test_models_of_one_name_are_told_apart_by_their_paths(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = run / PACKAGE_DIRECTORY
    shutil.copy(run / EVALUATION_FILE, package)
    assert cli.compare([str(run), str(package), "--json"]) == 0
    assert json.loads(capsys.readouterr().out).keys() == {str(run), str(package)}


def test_sweep_prints_a_line_a_run_and_writes_the_curve(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run.rename(run.with_name("beta-1"))
    settings = ["--epochs", "3", "--latent-size", "4"]
    assert cli.sweep(["--out", str(run.parent), *settings, "digits", "--beta", "1"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].split()[0] == "1"
    assert said[-1] == f"picture  {run.parent / PICTURE_FILE}"
    assert {path.name for path in run.parent.iterdir()} == {"beta-1", FIGURES_FILE, PICTURE_FILE}


@pytest.mark.parametrize(
    ("verb", "arguments", "said"),
    [
        ("evaluate", ["x", "--rows", "0"], "argument --rows: must be a whole number above 0, not '0'"),
        ("evaluate", ["x", "--samples", "-1"], "argument --samples: "),
        ("evaluate", [], "required: RUN_OR_PACKAGE"),
        ("evaluate", [""], "argument RUN_OR_PACKAGE: must be a path, not empty"),
        ("evaluate", ["x", "--data", ""], "argument --data: must be a path, not empty"),
        ("evaluate", ["x", "--data-dir", ""], "argument --data-dir: must be a path, not empty"),
        ("compare", [], "required: RUN"),
        ("compare", ["x", ""], "argument RUN: must be a path, not empty"),
        ("compare", ["x", "--json", "--markdown"], "not allowed with"),
        ("sweep", ["digits", "--out", "x", "--beta", "1,-1"], "argument --beta: must be numbers of 0 or more"),
        ("sweep", ["digits", "--out", "x", "--beta", "1,inf"], "argument --beta: must be"),
        ("sweep", ["digits", "--out", "x", "--beta", "1,,2"], "argument --beta: must be"),
        ("sweep", ["digits", "--out", "", "--beta", "1"], "argument --out: must be a path, not empty"),
        ("sweep", ["digits", "--out", "x", "--beta", "1", "--epochs", "0"], "--epochs: input should be greater"),
        ("sweep", ["digits", "--out", "x", "--beta", "1", "--nonsense"], "no such option: --nonsense"),
    ],
)
def test_wrong_calls_exit_with_2_and_one_line(
    verb: str, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        getattr(cli, verb)(arguments)
    assert exit_info.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_help_does_not_load_pytorch() -> None:
    script = (
        "import sys, training.study.cli as cli\n"
        "for verb in (cli.evaluate, cli.compare, cli.sweep):\n"
        "  try: verb(['--help'])\n"
        "  except SystemExit: pass\n"
        "sys.exit(bool({'torch', 'onnxruntime', 'sklearn', 'matplotlib'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(text in done.stdout for text in ("RUN_OR_PACKAGE", "--markdown", "--beta B,B,.."))
