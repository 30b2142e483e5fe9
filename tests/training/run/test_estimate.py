from itertools import islice
from pathlib import Path

import pytest
import torch

from training.run import checkpoint, estimate, run
from training.run.estimate import seconds_ahead, time_ahead
from training.run.fit import whole_epochs
from training.settings.config import Config
from training.step.length import steps_of_epoch


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_run_is_as_long_as_its_epochs_and_its_state_is_set_back(tmp_path: Path, epochs: int) -> None:
    first, dataset = run.begin(Config(hidden_sizes=(4,), epochs=40, validation_rows=100), tmp_path)
    state = checkpoint.restore(first, dataset)
    trained = (taken for _, taken in whole_epochs(first, dataset, state))
    *_, last = first, *islice(trained, epochs)
    seconds = seconds_ahead(last, dataset, state)
    assert seconds is not None
    assert seconds > 0
    after = checkpoint.take(last.config, dataset, state)
    assert after.model_dump() == last.model_dump()
    assert after.tensors.keys() == last.tensors.keys()
    assert all(torch.equal(last.tensors[name], tensor) for name, tensor in after.tensors.items())
    compiled = last.model_copy(update={"config": last.config.model_copy(update={"compile": True})})
    assert seconds_ahead(compiled, dataset, state) is None


def test_only_long_runs_get_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, dataset = run.begin(Config(hidden_sizes=(4,), epochs=2), tmp_path)
    state = checkpoint.restore(first, dataset)
    monkeypatch.setattr(estimate, "seconds_ahead", lambda *_: 59.0)
    assert time_ahead(first, dataset, state) is None
    monkeypatch.setattr(estimate, "seconds_ahead", lambda *_: 1500.0)
    assert time_ahead(first, dataset, state) == "training will take about 25 min on this machine, with 1 thread"


def test_a_run_whose_first_steps_diverge_has_no_time(tmp_path: Path) -> None:
    first, dataset = run.begin(Config(hidden_sizes=(4,), epochs=40, learning_rate=1e30, gradient_norm=0.0), tmp_path)
    state = checkpoint.restore(first, dataset)
    assert seconds_ahead(first, dataset, state) is None
    assert all(weight.isfinite().all() for weight in state.weights)


def test_a_run_of_few_steps_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, dataset = run.begin(Config(hidden_sizes=(4,), epochs=6, batch_size=128), tmp_path)
    steps = 6 * steps_of_epoch(first.config, len(dataset.train))
    state = checkpoint.restore(first, dataset)
    monkeypatch.setattr(estimate, "FEW_STEPS", steps + 1)
    assert seconds_ahead(first, dataset, state) is None
    monkeypatch.setattr(estimate, "FEW_STEPS", steps)
    assert seconds_ahead(first, dataset, state) is not None
