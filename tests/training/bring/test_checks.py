import numpy as np
import pytest

from training.bring.checks import trial_reconstruction
from training.export.probes import Probe, kinds_of
from vaeserve.package.data_spec import DataSpec

DATA = DataSpec(kind="table", shape=(2,), dtype="float32", minimum=-9, maximum=9)


def reconstructed(factor: float) -> dict[str, float]:
    count = kinds_of(DATA).real
    rows = np.random.default_rng(0).normal(size=(count, 2)).astype(np.float32)
    rows -= rows.mean(0)
    probes = {"encoder": Probe({"data": rows}, {}), "decoder": Probe({}, {"expectation": factor * rows})}
    return trial_reconstruction(probes, DATA)


def test_good_reconstructions_are_measured_in_silence(capsys: pytest.CaptureFixture[str]) -> None:
    errors = reconstructed(0.5)
    assert errors["squared_error"] == pytest.approx(errors["mean_row_squared_error"] / 4, rel=1e-4)
    assert capsys.readouterr().err == ""


def test_reconstructions_worse_than_the_mean_are_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    errors = reconstructed(-1)
    assert errors["squared_error"] == pytest.approx(4 * errors["mean_row_squared_error"], rel=1e-4)
    assert "worse than the mean" in capsys.readouterr().err
