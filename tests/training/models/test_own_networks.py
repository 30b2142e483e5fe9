"""A kind with a third network and a second optimizer: the file `own/adversarial_ae.py` and a line in MODELS."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import training.models
from tests.support.servers import ROOT
from tests.support.servers import start as start_server
from training import cli
from training.data import Dataset
from training.models import MODELS, STEPS, Entry
from training.run import checkpoint
from training.run.checkpoint import CHECKPOINT_FILE
from training.settings.config import Config
from training.step.compiling import gradients
from training.step.inputs import InputSampling, draw_inputs
from training.step.loop import epochs
from training.step.state import State, start
from vaeserve import Client
from vaeserve.package.directory import ModelPackage

NAME = "adversarial-ae"


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.models, "__path__", [*training.models.__path__, str(Path(__file__).parent / "own")])
    monkeypatch.setitem(MODELS, NAME, Entry({}, STEPS))


@pytest.fixture
def own(tiny: Config) -> Config:
    return tiny.model_copy(update={"model": NAME, "epochs": 2})


def tensors(config: Config, dataset: Dataset, state: State) -> dict[str, torch.Tensor]:
    return checkpoint.take(config, dataset, state).tensors


def test_two_epochs_are_one_and_another_resumed_from_a_file(own: Config, dataset: Dataset, tmp_path: Path) -> None:
    whole = start(own, dataset)
    going = epochs(own, dataset, whole)
    next(going)
    checkpoint.write(tmp_path / "checkpoint", checkpoint.take(own, dataset, whole))
    next(going)
    resumed = checkpoint.restore(checkpoint.read(tmp_path / "checkpoint"), dataset)
    next(epochs(own, dataset, resumed))
    expected, found = tensors(own, dataset, whole), tensors(own, dataset, resumed)
    assert expected.keys() == found.keys()
    assert {"networks.critic.1.weight", "average.critic.1.weight", "optimizer.critic.1.weight.exp_avg"} <= found.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    first = start(own, dataset).networks.state_dict()
    assert all(not torch.equal(first[name], found[f"networks.{name}"]) for name in ("critic.1.weight", "decoder.bias"))


def test_each_loss_is_lowered_over_its_own_weights_alone(own: Config, dataset: Dataset) -> None:
    """The critic's loss depends on the encoder, and the pair's on the critic; neither may move the other's weights."""
    state = start(own, dataset)
    sampling, likelihood = InputSampling.of(state.kind, own, dataset), state.networks.decoder.likelihood
    inputs = draw_inputs(sampling, likelihood, dataset.train[:32], torch.Generator().manual_seed(0))
    assert state.kind.step is not None
    found = gradients(state.kind, state.kind.step, own, state.networks, inputs)
    assert found.keys() == dict(state.networks.named_parameters()).keys()
    one_epoch = own.model_copy(update={"epochs": 1, "batch_size": 2000, "input_noise": 0.0})
    seen: dict[str, torch.Tensor] = {}
    for name, optimizer in state.optimizers.items():
        optimizer.register_step_pre_hook(lambda *_, name=name: seen.update(lowered(state, name)))
    list(epochs(one_epoch, dataset, state))
    step = state.kind.step
    fresh = start(one_epoch, dataset)
    order = torch.randperm(len(dataset.train), generator=fresh.generator)
    inputs = draw_inputs(
        InputSampling.of(fresh.kind, one_epoch, dataset), likelihood, dataset.train[order], fresh.generator
    )
    for name, gradient in gradients(fresh.kind, step, one_epoch, fresh.networks, inputs).items():
        torch.testing.assert_close(seen[name], gradient)


def test_a_compiled_step_lowers_both_losses(own: Config, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two losses go backwards through one compiled graph; its first backward decides whether that graph is kept."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    torch.compiler.reset()
    written, fast = (start(own, dataset) for _ in range(2))
    expected = list(epochs(own, dataset, written))
    figures = list(epochs(own.model_copy(update={"compile": True}), dataset, fast))
    for one, other in zip(figures, expected, strict=True):
        assert dict(one.own) == pytest.approx(dict(other.own), rel=1e-5)
        assert one.loss_nats == pytest.approx(other.loss_nats, rel=1e-5)
        assert one.skipped_steps == 0
    for name, weight in written.networks.state_dict().items():
        torch.testing.assert_close(fast.networks.state_dict()[name], weight, rtol=1e-4, atol=1e-5)


def lowered(state: State, loss: str) -> dict[str, torch.Tensor]:
    """Returns the gradients of the weights over which a loss is lowered, by name."""
    names = {parameter: name for name, parameter in state.networks.named_parameters()}
    return {
        names[weight]: weight.grad.clone()  # type: ignore[index]
        for weight in state.lowered_over[loss]
        if weight.grad is not None
    }


def test_the_documents_show_this_very_file() -> None:
    own = Path(__file__).parent / "own" / f"{NAME.replace('-', '_')}.py"
    assert f"```py\n{own.read_text()}```" in (ROOT / "docs" / "extending.md").read_text()


def test_two_optimizers_of_one_weight_are_refused(own: Config, dataset: Dataset) -> None:
    state = start(own, dataset)
    state.optimizers["critic_nats"] = next(iter(state.optimizers.values()))
    with pytest.raises(AssertionError, match="two optimizers share a weight"):
        checkpoint.take(own, dataset, state)


def trained(directory: Path) -> Path:
    brief = directory / "brief.toml"
    brief.write_text("epochs = 2\nbatch_size = 256\nlatent_size = 3\nmixture_components = 0\n")
    assert cli.train(["digits", "--out", str(directory / "run"), "--model", NAME, "--config", str(brief)]) == 0
    return directory / "run"


def test_it_is_exported_served_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = trained(tmp_path)
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    assert [line["split"] for line in lines] == ["train", "train", "test"]
    for line in lines[:2]:
        assert line["critic_nats"] > 0
        assert 0 <= line["critic_is_right"] <= 1
        assert line["kl_nats"] is None
    assert f"critic {lines[0]['critic_nats']:.2f}  critic is right" in capsys.readouterr().err
    assert "networks.critic.1.weight" in checkpoint.read(directory / CHECKPOINT_FILE).tensors
    assert sorted(path.stem for path in (directory / "model").glob("*.onnx")) == ["decoder", "encoder", "likelihood"]
    assert ModelPackage.open(directory / "model").manifest.posterior == "none"
    server = start_server(directory / "model")
    try:
        with Client(server.target) as client:
            sampled = client.sample(4, seed=1)
            assert sampled.output.shape == (4, 8, 8, 1)
            assert np.isfinite(client.encode(sampled.output).latent).all()
    finally:
        log = server.stop()
    assert "Traceback" not in log
