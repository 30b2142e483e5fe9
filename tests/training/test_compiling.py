from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from training.compiling import Trial, compiled
from training.config import Config
from training.data import Dataset
from training.loop import build
from training.networks.pair import Networks
from training.objective import Step, Weights, negative_elbo
from vae.errors import TrainingError


@pytest.fixture
def trial(tiny: Config, dataset: Dataset) -> Trial:
    noise = torch.randn(1, 8, tiny.latent_size, generator=torch.Generator().manual_seed(0))
    return Trial(build(tiny, dataset), dataset.train[:8], noise, Weights(torch.tensor(1.0)), narrow=False)


def becomes(monkeypatch: pytest.MonkeyPatch, step: Callable[..., object]) -> None:
    monkeypatch.setattr(torch, "compile", lambda _: step)


def test_a_step_with_the_same_gradients_is_taken(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(*given: object) -> Step:
        return negative_elbo(*given)  # type: ignore[arg-type]

    becomes(monkeypatch, other)
    assert compiled(negative_elbo, trial) is other


def test_a_step_that_loses_a_gradient_is_refused(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(networks: Networks, seen: Tensor, data: Tensor, noise: Tensor, weights: Weights) -> Step:
        found = negative_elbo(networks, seen, data, noise, weights)
        lost = networks.decoder.parameters_of(noise[0]).sum() - networks.decoder.bias.sum()
        return found._replace(loss=found.loss - (lost - lost.detach()))

    becomes(monkeypatch, forgetful)
    with pytest.raises(TrainingError, match=r"^--compile: PyTorch's compiled step gives decoder\.\S+ another gradient"):
        compiled(negative_elbo, trial)


def test_what_cannot_be_compiled_is_told_on_one_line(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Step:
        raise RuntimeError("backend failed\n\nSet TORCHDYNAMO_VERBOSE=1") from OSError("no compiler")

    becomes(monkeypatch, broken)
    with pytest.raises(TrainingError, match=r"^--compile: PyTorch cannot compile the step here: no compiler$"):
        compiled(negative_elbo, trial)


def test_a_lack_of_memory_stays_one(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    def large(*_: object) -> Step:
        raise torch.OutOfMemoryError("CUDA out of memory")

    becomes(monkeypatch, large)
    with pytest.raises(torch.OutOfMemoryError):
        compiled(negative_elbo, trial)
