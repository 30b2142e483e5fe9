"""A kind without a likelihood, whose encoder is trained afterwards."""

import json
import re
from pathlib import Path
from typing import cast

import pytest
import torch

from training import cli
from training.data import Dataset
from training.models import kind_named
from training.models.gan import GENERATOR_SHARE
from training.networks.discriminator import Adversaries
from training.run import checkpoint
from training.run.checkpoint import CHECKPOINT_FILE
from training.run.publish import networks_to_export
from training.run.run import data_of
from training.settings.config import Config
from training.settings.resolve import complete
from training.step.length import Continuation
from training.step.loop import epochs
from training.step.state import start
from vaeserve.command.descriptions import package_text
from vaeserve.errors import TrainingError
from vaeserve.package.directory import ModelPackage


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("gan") / "run"
    brief = directory.with_name("brief.toml")
    brief.write_text("epochs = 5\nbatch_size = 256\nhidden_sizes = [32, 16]\nlatent_size = 3\nmixture_components = 1\n")
    assert cli.train(["digits", "--out", str(directory), "--model", "gan", "--config", str(brief)]) == 0
    return directory


@pytest.fixture(scope="module")
def package(directory: Path) -> ModelPackage:
    return ModelPackage.open(directory / "model")


def test_the_manifest_says_what_there_is_not(package: ModelPackage) -> None:
    manifest = package.manifest
    assert (manifest.likelihood.family, manifest.graphs.likelihood, manifest.posterior) == ("none", None, "none")
    assert manifest.encoder_afterwards
    assert manifest.default_prior == "standard"
    assert [output.name for output in manifest.graphs.decoder.outputs] == ["data", "expectation"]
    assert not {"negative_elbo_nats", "reconstruction_nats", "nll_nats"} & manifest.metrics.keys()
    assert {"squared_error", "standard_hole_fraction"} <= manifest.metrics.keys()
    assert re.search("encoder +trained afterwards", package_text(package))


def test_the_card_says_what_there_is_not(directory: Path) -> None:
    card = " ".join((directory / "model" / "README.md").read_text().split())
    assert "**Likelihood**: none." in card
    assert "The decoder was trained first, on draws from N(0, I)." in card
    assert "`standard` (N(0, I)), `mixture`; `standard` is the default" in card
    assert "there is no likelihood" in card


def test_epochs_have_no_reconstruction(directory: Path) -> None:
    first, *_ = (json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines())
    assert first["reconstruction_nats"] is None
    assert first["loss_nats"] > 0
    assert first["discriminator_nats"] > 0


def test_latents_are_not_standardised(directory: Path) -> None:
    last = checkpoint.read(directory / CHECKPOINT_FILE)
    standard = networks_to_export(kind_named("gan"), last, data_of(last)).encoder.standard
    assert standard is not None
    assert standard.spread.tolist() == [1, 1, 1]


def test_the_generator_rests_at_its_average_while_the_encoder_learns(tiny: Config, dataset: Dataset) -> None:
    config = tiny.model_copy(update={"model": "gan", "epochs": 5})
    state = start(config, dataset)
    networks, average = cast("Adversaries", state.networks), cast("Adversaries", state.average)
    first = [weight.clone() for weight in networks.encoder.parameters()]
    for figures in epochs(config, dataset, state):
        if figures.epoch <= GENERATOR_SHARE * config.epochs:
            assert all(map(torch.equal, first, networks.encoder.parameters()))
            assert not all(map(torch.equal, networks.decoder.parameters(), average.decoder.parameters()))
    assert all(map(torch.equal, networks.decoder.parameters(), average.decoder.parameters()))
    assert not all(map(torch.equal, first, networks.encoder.parameters()))


def test_the_generator_rests_at_its_average_in_a_run_that_became_shorter(tiny: Config, dataset: Dataset) -> None:
    config = tiny.model_copy(update={"model": "gan", "epochs": 6})
    state = start(config, dataset)
    state.epoch, state.continuations = 2, (Continuation(epoch=2, progress=0.02),)  # of 100
    list(epochs(config, dataset, state))
    networks, average = cast("Adversaries", state.networks), cast("Adversaries", state.average)
    assert all(map(torch.equal, networks.decoder.parameters(), average.decoder.parameters()))


def test_a_run_resumed_where_the_generator_comes_to_rest_has_the_same_bits(tiny: Config, dataset: Dataset) -> None:
    config = tiny.model_copy(update={"model": "gan", "epochs": 5})
    state = start(config, dataset)
    for figures in epochs(config, dataset, state):
        if figures.epoch == GENERATOR_SHARE * config.epochs:
            taken = checkpoint.take(config, dataset, state)
    resumed = checkpoint.restore(taken, dataset)
    list(epochs(config, dataset, resumed))
    expected, found = (checkpoint.take(config, dataset, each).tensors for each in (state, resumed))
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_rows_are_grey_levels_although_the_preset_binarises_them() -> None:
    """A discriminator would tell expectations from binary rows at once."""
    assert complete({"dataset": "mnist", "model": "gan"}, None)["binarised"] is False
    with pytest.raises(TrainingError, match=r"--binarised: cannot be used with the model gan$"):
        complete({"dataset": "mnist", "model": "gan", "binarised": True}, None)
