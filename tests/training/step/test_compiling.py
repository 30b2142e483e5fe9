from collections.abc import Callable
from itertools import count

import pytest
import torch
from torch import Tensor

from training.data import Dataset
from training.models.kind import Objective
from training.models.vae import KIND as VAE
from training.networks.pair import Networks
from training.objective import Step, TermWeights, negative_elbo
from training.settings.config import Config
from training.step.compiling import compiled
from training.step.loop import epochs
from training.step.state import start
from vaeserve.errors import TrainingError

Attempt = Callable[[Objective], Objective]


@pytest.fixture
def attempt(tiny: Config, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> Attempt:
    """Whether a step is taken for the compiled form of the ELBO's."""
    config = tiny.model_copy(update={"network": "conv", "hidden_sizes": (4,)})

    def tried(step: Objective) -> Objective:
        monkeypatch.setattr(torch, "compile", lambda *_, **__: step)
        return compiled(VAE, config, dataset._replace(train=dataset.train[:8]), torch.device("cpu"))

    return tried


def test_a_step_with_the_same_gradients_is_taken(attempt: Attempt) -> None:
    def same(*given: object) -> Step:
        return negative_elbo(*given)  # type: ignore[arg-type]

    assert attempt(same) is same


def test_a_step_that_loses_the_gradient_of_a_branch_which_begins_at_zero_is_refused(attempt: Attempt) -> None:
    def forgetful(networks: Networks, seen: Tensor, data: Tensor, noise: Tensor, weights: TermWeights) -> Step:
        first = networks.get_submodule("encoder.body.levels.1.first")
        first.requires_grad_(requires_grad=False)
        found = negative_elbo(networks, seen, data, noise, weights)
        first.requires_grad_()
        return found

    named = r"^--compile: PyTorch's compiled step gives encoder\.body\.levels\.1\.first\.\S+ another gradient"
    with pytest.raises(TrainingError, match=named):
        attempt(forgetful)


def test_a_step_that_does_not_reach_the_encoder_is_refused(attempt: Attempt) -> None:
    def detached(networks: Networks, seen: Tensor, data: Tensor, noise: Tensor, weights: TermWeights) -> Step:
        with torch.no_grad():
            mean, log_variance = networks.encoder(seen)
        decoded = networks.decoder.parameters_of(mean + torch.exp(0.5 * log_variance) * noise[0])
        loss = -networks.decoder.likelihood(data, decoded)
        return Step(loss, loss, loss * 0 * weights.kl, mean)

    with pytest.raises(TrainingError, match=r"gives encoder\.\S+ another gradient"):
        attempt(detached)


def test_a_failure_to_compile_is_reported_in_one_line(attempt: Attempt) -> None:
    def broken(*_: object) -> Step:
        raise RuntimeError("backend failed\n\nSet TORCHDYNAMO_VERBOSE=1") from OSError("no compiler")

    with pytest.raises(TrainingError, match=r"^--compile: PyTorch cannot compile the step here: no compiler$"):
        attempt(broken)


def test_a_lack_of_memory_stays_one(attempt: Attempt) -> None:
    def large(*_: object) -> Step:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        attempt(large)


@pytest.mark.parametrize("changes", [{}, {"input_noise": 0.0, "likelihood": "gaussian"}, {"batch_size": 2000}])
def test_all_graphs_of_a_run_were_tried_before_it(
    tiny: Config, dataset: Dataset, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    config, numbers, runs = tiny.model_copy(update={**changes, "epochs": 2, "compile": True}), count(), list[int]()

    def backend(graph: torch.fx.GraphModule, _: list[Tensor]) -> Callable[..., object]:
        number = next(numbers)

        def run(*given: object) -> object:
            runs.append(number)
            return graph(*given)

        return run

    compile_step = torch.compile
    monkeypatch.setattr(torch, "compile", lambda step, **options: compile_step(step, backend=backend, **options))
    steps = -(-len(dataset.train) // config.batch_size)
    sizes = 1 if len(dataset.train) % config.batch_size == 0 or steps == 1 else 2
    torch.compiler.reset()
    written, fast = (
        [figures.loss_nats for figures in epochs(each, dataset, start(each, dataset))]
        for each in (config.model_copy(update={"compile": False}), config)
    )
    assert runs[:sizes] == list(range(sizes))  # each in a trial
    assert runs[sizes:] == 2 * [*[0] * (steps - sizes + 1), *range(1, sizes)]
    assert fast == pytest.approx(written, rel=1e-5)


def test_a_run_whose_compiled_step_is_wrong_does_not_begin(
    tiny: Config, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(networks: Networks, *given: object) -> Step:
        found = negative_elbo(networks, *given)  # type: ignore[arg-type]
        return found._replace(loss=2 * found.loss)

    monkeypatch.setattr(torch, "compile", lambda *_, **__: wrong)
    config = tiny.model_copy(update={"compile": True})
    with pytest.raises(TrainingError, match="another gradient"):
        next(epochs(config, dataset, start(config, dataset)))
