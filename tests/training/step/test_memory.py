import numpy as np
import pytest
import torch

from training.data import Dataset
from training.models.vae import KIND as VAE
from training.settings.config import Config
from training.step.memory import lack_of_memory_in_one_line
from training.step.state import build
from vaeserve.errors import TrainingError


@pytest.mark.parametrize(
    ("network", "hidden_sizes"), [("mlp", (65_536, 65_536)), ("gated-mlp", (20_000, 20_000)), ("conv", (65_536,))]
)
def test_networks_that_fit_into_no_graph_are_refused_unmade(
    dataset: Dataset, network: str, hidden_sizes: tuple[int, ...]
) -> None:
    with pytest.raises(TrainingError, match=r"^--hidden-sizes: the encoder would have \d{9,} weights, at most "):
        build(VAE, Config(network=network, hidden_sizes=hidden_sizes), dataset)


def test_networks_that_the_machine_cannot_hold_are_refused_unmade(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 16}.__getitem__)
    with pytest.raises(TrainingError, match=r"^--hidden-sizes: needs 0\.0 GiB of memory, this machine has 0\.0 GiB$"):
        build(VAE, Config(), dataset)


def test_memory_that_runs_out_is_reported_in_one_line() -> None:
    for take in (lambda: torch.empty(2**60, dtype=torch.uint8), lambda: np.empty(2**60, np.uint8)):
        with pytest.raises(TrainingError, match=r"^memory is exhausted: try a smaller"), lack_of_memory_in_one_line():
            take()
    for said in ("CUDA error: out of memory", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"):
        with pytest.raises(TrainingError, match=r"^memory is exhausted"), lack_of_memory_in_one_line():
            raise RuntimeError(said)
    with pytest.raises(RuntimeError, match="something else"), lack_of_memory_in_one_line():
        raise RuntimeError("something else")
