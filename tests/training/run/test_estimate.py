from pathlib import Path

import pytest
import torch

from training.run import estimate, run
from training.run.estimate import seconds_ahead, time_ahead
from training.settings.config import Config


def test_a_run_is_as_long_as_its_epochs_and_is_not_changed_by_the_measurement(tmp_path: Path) -> None:
    first, dataset = run.begin(Config(hidden_sizes=(4,), epochs=40, validation_rows=100), tmp_path)
    before = {name: tensor.clone() for name, tensor in first.tensors.items()}
    seconds = seconds_ahead(first, dataset)
    assert seconds is not None
    assert seconds > 0
    assert all(torch.equal(first.tensors[name], tensor) for name, tensor in before.items())
    assert (
        seconds_ahead(first.model_copy(update={"config": first.config.model_copy(update={"compile": True})}), dataset)
        is None
    )


def test_only_long_runs_get_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, dataset = run.begin(Config(hidden_sizes=(4,), epochs=2), tmp_path)
    monkeypatch.setattr(estimate, "seconds_ahead", lambda *_: 59.0)
    assert time_ahead(first, dataset) is None
    monkeypatch.setattr(estimate, "seconds_ahead", lambda *_: 1500.0)
    assert time_ahead(first, dataset) == "training will take about 25 min on this machine, with 1 thread"


def test_a_run_whose_first_steps_diverge_has_no_time(tmp_path: Path) -> None:
    first, dataset = run.begin(Config(hidden_sizes=(4,), epochs=2, learning_rate=1e30, gradient_norm=0.0), tmp_path)
    assert seconds_ahead(first, dataset) is None
