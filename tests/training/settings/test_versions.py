"""Versions of packages, as flags name them and as neighbours have them."""

import shutil
from pathlib import Path

import pytest
from torch import nn

from tests.support.linear_pair import LATENT, ROW, SPEC, decoder, encoder, save
from tests.support.packages import publish
from training import cli
from training.bring import cli as bring
from training.data import Dataset
from training.run.checkpoint import Checkpoint
from training.run.publish import RunResult
from training.settings.directory import PACKAGE_DIRECTORY
from training.settings.versions import number_of
from vaeserve import export
from vaeserve.command.cli import run as vae
from vaeserve.errors import TrainingError
from vaeserve.package.directory import read_manifest


def test_the_next_version_follows_the_highest_of_the_name_beside(tmp_path: Path) -> None:
    assert number_of("next", tmp_path / "none" / "yet", "tiny") == 1
    out = tmp_path / "out"
    assert number_of("next", out, "tiny") == 1
    publish(tmp_path / "package", version=3)
    publish(tmp_path / "run" / PACKAGE_DIRECTORY, version=7)
    publish(tmp_path / "other", name="other", version=20)
    publish(tmp_path / ".half-written", version=30)
    publish(out / PACKAGE_DIRECTORY, version=40)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    assert number_of("next", out, "tiny") == 8
    assert number_of("next", tmp_path / "other", "other") == 1
    assert number_of(5, out, "tiny") == 5


@pytest.mark.parametrize("version", ["0", "-1", "2147483648", "newest", "", "1.5", "9" * 5000])
@pytest.mark.parametrize("verb", [["train", "digits"], ["export", "run"], ["package"]])
def test_what_is_no_version_is_refused(verb: list[str], version: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert vae([*verb, "--out", "out", f"--version={version}"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("vae: argument --version: must be a whole number from 1 to 2147483647, or next, not ")


def test_a_run_and_its_exports_get_the_versions_that_are_asked_for(
    tmp_path: Path, run_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brief = tmp_path / "brief.toml"
    brief.write_text("mixture_components = 0\n")
    first, second = tmp_path / "runs" / "first", tmp_path / "runs" / "second"
    shutil.copytree(run_directory, first)
    train = ["digits", "--model", "pca", "--latent-size", "2", "--config", str(brief), "--out", str(second)]
    assert cli.train([*train, "--version", "next"]) == 0
    manifests = [read_manifest(run / PACKAGE_DIRECTORY) for run in (first, second)]
    assert [manifest.version for manifest in manifests] == [1, 2]
    assert manifests[1].provenance is not None
    assert manifests[1].provenance.config["version"] == 2

    asked = list[int]()

    def note(_directory: Path, _last: Checkpoint, _dataset: Dataset, version: int, **_: object) -> RunResult:
        asked.append(version)
        raise TrainingError("nothing is to be written")

    monkeypatch.setattr("training.run.run.publish", note)
    exported = ["export", str(second), "--out", str(tmp_path / "runs" / "third")]
    for arguments in (["train", *train, "--resume", "--version", "5"], exported, [*exported, "--version", "next"]):
        assert vae(arguments) == 1
    assert asked == [5, 5, 3]


def test_pairs_that_were_made_elsewhere_get_versions_too(tmp_path: Path) -> None:
    publish(tmp_path / "a", version=4)
    named = {**SPEC, "name": "tiny", "version": 2}
    spec = tmp_path / "spec.toml"
    spec.write_text("\n".join(f"{key} = {value!r}" for key, value in named.items()))
    pair = ["--encoder", str(save(tmp_path, "e", encoder())), "--decoder", str(save(tmp_path, "d", decoder()))]
    command = [*pair, "--spec", str(spec), "--out"]
    assert bring.package([*command, str(tmp_path / "b")]) == 0
    assert bring.package([*command, str(tmp_path / "c"), "--version", "next"]) == 0
    modules = nn.Linear(ROW, 2 * LATENT), nn.Linear(LATENT, ROW)
    export(*modules, {**named, "encoder_outputs": ["moments"], "version": "next"}, tmp_path / "d")
    assert [read_manifest(tmp_path / name).version for name in "bcd"] == [2, 5, 6]
