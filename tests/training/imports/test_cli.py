from pathlib import Path

import numpy as np
import pytest
import torch

from serving.engine.rows import DataRows, EncodeResult
from serving.models.loading import load
from serving.settings import settings_of
from tests.support import autoencoders
from vaeserve.command.cli import run
from vaeserve.package.directory import ModelPackage


def test_a_pipelines_autoencoder_is_packaged_under_the_pipelines_name_and_in_half_precision(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    autoencoders.save(tmp_path / "taesd" / "vae", "tiny")
    flags = ["--minimum", "16", "--maximum", "64", "--default-size", "48x32", "--version", "3", "--precision", "fp16"]
    assert run(["import", str(tmp_path / "taesd" / "vae"), "--out", str(tmp_path / "model"), *flags]) == 0
    assert "outputs agree with the original" in capsys.readouterr().out
    manifest = ModelPackage.open(tmp_path / "model").manifest
    assert (manifest.name, manifest.version) == ("taesd", 3)
    assert manifest.data.sizes is not None
    assert manifest.data.sizes.default == (32, 48)
    assert (manifest.precision, manifest.metrics["fp16_cosine"] > 0.999) == ("fp16", True)
    readme = (tmp_path / "model" / "README.md").read_text()
    assert "**Precision**: fp16, made of the graphs that were proved. Reconstructions lose 0." in readme
    assert "none. The pair has no posterior, and its latents are not distributed as N(0, I)." in readme
    settings = settings_of(package=tmp_path / "model", provider="cpu", threads=1, batch_rows=2)
    served = load(settings.package, settings)
    (answer,) = served.engine.encode([DataRows(np.zeros((2, 24, 40, 3), np.uint8))])
    assert isinstance(answer, EncodeResult)
    with torch.inference_mode():
        expected = autoencoders.make("tiny").encode(torch.full((2, 3, 24, 40), -1.0)).latents
    np.testing.assert_allclose(answer.latent, expected.numpy(), atol=2e-3)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--default-size", "512"], "must be WIDTHxHEIGHT in pixels, for example 448x576, not '512'"),
        (["--minimum", "-8"], "must be a number of pixels, not '-8'"),
        (["--name", "a b"], "'a b' cannot name a model"),
        (["--tolerance", "0.1"], "must lie in [1e-06, 0.01], not '0.1'"),
        (["--latents", "none"], "invalid choice: 'none'"),
    ],
)
def test_wrong_flags_are_usage_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], reason: str
) -> None:
    assert run(["import", str(tmp_path), "--out", str(tmp_path / "model"), *flags]) == 2
    assert reason in capsys.readouterr().err


def test_a_tolerance_that_no_graph_keeps_to_is_named_with_what_allows_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    autoencoders.save(tmp_path / "vae", "kl", norm_num_groups=4, mid_block_add_attention=False)
    flags = ["--name", "kl", "--minimum", "16", "--maximum", "16", "--default-size", "16x16", "--tolerance", "1e-6"]
    assert run(["import", str(tmp_path / "vae"), "--out", str(tmp_path / "model"), *flags]) == 1
    assert "no package was written; --tolerance allows more" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_a_failure_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert run(["import", str(tmp_path / "empty"), "--out", str(tmp_path / "model")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
