"""The operations of a step, as a multiple of those of encoder and decoder."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from training.data import Dataset
from training.models import MODELS
from training.settings.config import Config
from training.settings.rule import widths_of
from training.step.inputs import InputSampling, draw_inputs
from training.step.loop import backpropagate, lowered_at
from training.step.schedule import term_weights
from training.step.state import start
from vaeserve.package.data_spec import DataSpec

SHAPE = (32, 32, 3)
TIMES = [0.1, 0.3, 0.5, 0.7, 0.9]  # shares of a run's steps


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations of products. PyTorch's own mode cannot count gradients of gradients."""

    count: int = 0

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - an operator of PyTorch
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        out = func(*args, **(kwargs or {}))
        counts: Callable[..., int] | None = flop_registry.get(func._overloadpacket)
        if counts is not None:
            self.count += counts(*args, **(kwargs or {}), out_val=out)
        return out


def operations(model: str) -> float:
    """Returns the operations of a step on four pictures, the mean over a run."""
    rows = torch.randint(0, 256, (4, *SHAPE)).float()
    spec = DataSpec(kind="image", shape=SHAPE, dtype="uint8", minimum=0, maximum=255)
    dataset = Dataset("pictures", "", spec, "gaussian", rows, rows[:0], rows, None, "0" * 64)
    config = Config(model=model, network="conv", hidden_sizes=widths_of(SHAPE), latent_size=64, batch_size=4)
    state = start(config, dataset)
    sampling = InputSampling.of(state.kind, config, dataset)
    inputs = draw_inputs(sampling, state.networks.decoder.likelihood, rows, state.generator)
    assert state.kind.step is not None
    counted = Operations()  # type: ignore[no-untyped-call]
    with counted:
        for progress in TIMES:
            step = state.kind.step(state.networks, *inputs, term_weights(config, 1.0, progress))
            backpropagate({name: step.lowered(name) for name in lowered_at(state, progress)}, state, 0.0)
    return counted.count / len(TIMES)


@pytest.mark.parametrize("model", ["vae", "iwae", "fsq", "vae-gan", "gan"])
def test_a_kind_says_how_many_operations_its_step_has(model: str) -> None:
    assert operations(model) / operations("ae") == pytest.approx(MODELS[model].step_cost, rel=0.03)
