import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from training import cli
from training.run import checkpoint, run
from training.run.checkpoint import CHECKPOINT_FILE
from training.run.fit import fit
from training.run.journal import JOURNAL_FILE, Journal
from training.settings.directory import PACKAGE_DIRECTORY
from vaeserve.command.cli import run as vae
from vaeserve.package.directory import ModelPackage

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-c", "from vaeserve.command.cli import main; main()")
BRIEF = "mixture_components = 0\nevaluation_samples = 10\n"
SMALL = "hidden_sizes = [16]\nbatch_size = 2000\nepochs = 200\nlatent_size = 2\n" + BRIEF


def test_a_run_stopped_by_a_signal_and_resumed_equals_one_that_was_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "small.toml"
    settings.write_text(SMALL)
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    arguments = [
        "digits",
        "--config",
        str(settings),
        "--seed",
        "7",
        "--epochs",
        "400",
        "--validation-rows",
        "99",
        "--out",
    ]

    with subprocess.Popen(
        [*COMMAND, "train", *arguments, str(stopped)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("epoch"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate()
    assert (process.returncode, stdout) == (130, "")
    assert stderr.splitlines()[-1].endswith(f"of 400; go on with: vae train digits --out {stopped} --resume")
    assert "Traceback" not in stderr
    assert not (stopped / PACKAGE_DIRECTORY).exists()

    assert cli.train([*arguments, str(stopped), "--resume"]) == 0
    said = capsys.readouterr()
    assert ", resumed after epoch " in said.err
    # The graphs follow from the checkpoint: test_export_makes_the_same_bytes_again_and_says_what_comes_next.
    first, dataset = run.begin(checkpoint.read(stopped / CHECKPOINT_FILE).config, whole)
    with Journal(whole / JOURNAL_FILE, 0) as journal:
        fit(whole, first, dataset, journal)
    assert (stopped / CHECKPOINT_FILE).read_bytes() == (whole / CHECKPOINT_FILE).read_bytes()
    *lines, held_out = (stopped / JOURNAL_FILE).read_text().splitlines()
    assert lines == (whole / JOURNAL_FILE).read_text().splitlines()

    best = json.loads(held_out)["best_epoch"]
    assert f"trained  best of 400 epochs: {best}, by validation\n" in said.out
    readme = (stopped / PACKAGE_DIRECTORY / "README.md").read_text()
    assert f"- **Training**: best of 400 epochs: {best}, by validation.\n" in readme
    assert "![Learning curve](learning_curve.png)" in readme


def test_a_run_that_learned_nothing_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures, settings = tmp_path / "grey.npy", tmp_path / "brief.toml"
    np.save(pictures, np.round(load_digits().images[:100] * 255 / 16).astype(np.uint8))
    settings.write_text(
        "likelihood = 'gaussian'\nnetwork = 'mlp'\nhidden_sizes = [16]\nepochs = 1\nlatent_size = 2\n" + BRIEF
    )
    assert cli.train([str(pictures), "--config", str(settings), "--out", str(tmp_path / "run")]) == 0
    said = r"orse than without latents: negative ELBO \d+\.\d+ nats, one distribution for all rows 354\.89: try more"
    assert re.search(rf"^warning: w{said}", capsys.readouterr().out, re.MULTILINE)
    readme = (tmp_path / "run" / PACKAGE_DIRECTORY / "README.md").read_text()
    assert re.search(rf"- W{said}", " ".join(readme.split()))


def test_help_does_not_load_pytorch() -> None:
    script = (
        "import sys, training.cli\n"
        "try: training.cli.train(['--help'])\n"
        "except SystemExit: sys.exit('torch' in sys.modules or 'onnxruntime' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--latent-size SIZE" in done.stdout


def test_export_makes_the_same_bytes_again_and_says_what_comes_next(
    tmp_path: Path,
    run_directory: Path,
    package: ModelPackage,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "my model"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", f"{package.manifest.created_at.timestamp():.0f}")
    assert cli.export([str(run_directory / CHECKPOINT_FILE), "--out", str(target)]) == 0
    first, again = ({path.name: path.read_bytes() for path in place.iterdir()} for place in (package.directory, target))
    assert first.keys() == again.keys()
    assert [name for name in first if first[name] != again[name]] == []
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "in brief"
    assert lines[4] == "360 held-out rows, means a row"
    assert lines[-3:] == [
        "proved   8 outputs agree with PyTorch's in batches of 1, 2, 3, 7, 64 rows",
        f"package  {target}: digits, version 1",
        f"next     vae serve '{target}'",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["train"],
        ["train", "digits"],
        ["train", "digits", "--out", "x", "--epochs", "many"],
        ["train", "digits", "--out", "x", "--gamma", "4"],
        ["export"],
        ["export", "x"],
        ["train", "digits", "--out", "x", "--hidden-sizes", "wide,wider"],
        ["train", "digits", "--out", ""],
        ["train", "digits", "--out", "", "--resume"],
        ["train", "digits", "--out", "x", "--config", ""],
        ["train", "mnist", "--out", "x", "--data-dir", ""],
        ["export", "x", "--out", ""],
        ["export", "", "--out", "x"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert vae(arguments) == 2
    said = capsys.readouterr().err
    assert said.endswith(f"; `vae {arguments[0]} --help` lists the options\n")
    assert said.count("\n") == 1


def test_wrong_settings_are_said_on_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = str(tmp_path / "new")
    settings, fine = tmp_path / "run.toml", tmp_path / "fine.toml"
    settings.write_text("gamma = 4\n")
    fine.write_text("epochs = 2\n")
    expected = {
        ("--epochs", "0"): "--epochs: input should be greater than or equal to 1, not 0",
        ("--threads", "2147483648"): "--threads: input should be less than or equal to 1024, not 2147483648",
        ("--config", str(fine), "--seed", "-1"): "--seed: input should be",
        ("--config", str(settings)): f"{settings}: gamma: no such key",
        ("--config", "none.toml"): "none.toml: cannot be read",
    }
    for arguments, message in expected.items():
        assert vae(["train", "digits", "--out", new, *arguments]) == 2
        (error,) = capsys.readouterr().err.splitlines()
        assert error.startswith(f"vae: {message}")
    assert not Path(new).exists()


def test_what_has_no_effect_is_refused_but_for_a_run_that_is_there(
    tmp_path: Path, run_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new, blocks = str(tmp_path / "new"), tmp_path / "blocks.toml"
    blocks.write_text("blocks = 2\n")
    for asked in (["--model", "ae", "--beta", "2"], ["--config", str(blocks)]):
        for resumed in ([], ["--resume"]):
            assert vae(["train", "digits", "--out", new, *asked, *resumed]) == 2
            (error,) = capsys.readouterr().err.splitlines()
            assert ": has no effect with the " in error
    assert not Path(new).exists()
    # Neither said again is the network of a run that goes on, nor which of its settings have an effect.
    assert vae(["train", "digits", "--out", str(run_directory), "--resume", "--config", str(blocks)]) == 1
    assert capsys.readouterr().err.startswith("vae: --blocks: the run was started with 1")


def test_export_refuses_a_taken_place_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "manifest.json").touch()
    assert vae(["export", str(tmp_path / "no checkpoint"), "--out", str(tmp_path / "taken")]) == 1
    assert capsys.readouterr().err == f"vae: {tmp_path / 'taken'} already exists; choose another directory\n"


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_a_run_needs_nobody_to_talk_to(tmp_path: Path, redirection: str) -> None:
    out = tmp_path / "run"
    settings = tmp_path / "small.toml"
    settings.write_text(SMALL)
    command = shlex.join([*COMMAND, "train", "digits", "--out", str(out), "--config", str(settings), "--epochs", "2"])
    done = subprocess.run(["sh", "-c", f"{command} {redirection}"], cwd=ROOT, stdout=subprocess.PIPE, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith(b"in brief\n")
    assert ModelPackage.open(out / PACKAGE_DIRECTORY)


def test_what_cannot_be_is_said_on_one_line(
    tmp_path: Path, run_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new, old = str(tmp_path / "new"), str(run_directory)
    fine = tmp_path / "fine.toml"
    fine.write_text("epochs = 2\n")
    corrupt = tmp_path / "corrupt"
    corrupt.mkdir()
    (corrupt / CHECKPOINT_FILE).write_bytes((run_directory / CHECKPOINT_FILE).read_bytes()[:1000])
    expected = {
        ("train", "digits", "--out", str(tmp_path), "--resume"): f"{tmp_path} holds files but no {CHECKPOINT_FILE}",
        ("train", "digits", "--out", old): f"{old} holds a run already",
        ("train", "digits", "--out", old, "--resume", "--latent-size", "5"): "--latent-size: the run was started",
        ("train", "digits", "--out", old, "--resume", "--config", str(fine)): "--epochs: the run has done 3 epochs "
        "already, it cannot end after 2",
        ("train", "digits", "--out", old, "--resume", "--seed", "5"): "--seed: the run was started with 0",
        (
            "train",
            "digits",
            "--out",
            str(corrupt),
            "--resume",
        ): f"{corrupt}/{CHECKPOINT_FILE}: is not a whole checkpoint",
        ("export", str(corrupt), "--out", new): f"{corrupt}/{CHECKPOINT_FILE}: is not a whole checkpoint",
        ("export", "none", "--out", new): "none: cannot be read: no such file",
        ("export", old, "--out", f"{old}/model"): f"{old}/model already exists",
    }
    for arguments, message in expected.items():
        capsys.readouterr()
        assert vae(list(arguments)) == 1
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith(f"vae: {message}")
    assert not Path(new).exists()
