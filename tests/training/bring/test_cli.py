from pathlib import Path

import pytest

from tests.support.linear_pair import decoder, encoder, save
from training.bring import cli
from vaeserve.errors import PackageError, TrainingError
from vaeserve.package.directory import ModelPackage

SPEC = """
name = "linear"
kind = "table"
shape = 6
minimum = -10.0
maximum = 10.0
latent_shape = 2
encoder_outputs = ["mean", "log_variance"]
"""


def arguments(folder: Path, spec: str = SPEC) -> list[str]:
    (folder / "spec.toml").write_text(spec)
    pair = ["--encoder", str(save(folder, "e", encoder())), "--decoder", str(save(folder, "d", decoder()))]
    return [*pair, "--spec", str(folder / "spec.toml"), "--out", str(folder / "model")]


def test_it_says_what_was_proved_and_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.package(arguments(tmp_path)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "proved   5 outputs agree with the original graphs, in batches of 1, 2, 3, 7, 64 rows",
        f"package  {tmp_path / 'model'}: linear, version 1",
        f"next     vae serve {tmp_path / 'model'}",
    ]
    readme = (ModelPackage.open(tmp_path / "model").directory / "README.md").read_text()
    assert readme.startswith("# linear\n")
    with pytest.raises(PackageError, match="already exists"):
        cli.package(arguments(tmp_path, "is not read"))


def test_an_error_names_the_file_and_the_key(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=rf"^{tmp_path / 'spec.toml'}: latent_shape: is missing$"):
        cli.package(arguments(tmp_path, SPEC.replace("latent_shape = 2\n", "")))


def test_what_must_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.package(["--encoder", "e.onnx"])
    assert "--decoder, --spec, --out" in capsys.readouterr().err
