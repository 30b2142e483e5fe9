"""One tiny run, shared by every test that looks at what a run leaves behind."""

from pathlib import Path

import pytest

from tests.support.exporter import read_operators_once
from training import cli
from training.data import Dataset, load_dataset
from training.export.graphs import ExportedGraph, export_graphs
from training.export.probes import probe_all
from training.models import kind_named
from training.networks.pair import Networks
from training.run import checkpoint
from training.run.checkpoint import CHECKPOINT_FILE, Checkpoint
from training.run.publish import modules_of, networks_to_export
from training.settings.config import Config
from training.settings.directory import PACKAGE_DIRECTORY
from training.settings.source import Source
from vaeserve.package.directory import ModelPackage


@pytest.fixture(scope="session", autouse=True)
def exporter() -> None:
    read_operators_once()


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return load_dataset(Source(dataset="digits"))


@pytest.fixture
def tiny() -> Config:
    return Config(hidden_sizes=(16, 8), latent_size=3, epochs=3, batch_size=256)


@pytest.fixture(scope="session")
def run_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tiny") / "run"
    brief = directory.with_name("brief.toml")
    brief.write_text("mixture_components = 2\nevaluation_samples = 10\n")
    flags = ["--config", str(brief), "--epochs", "3", "--latent-size", "4"]
    assert cli.train(["digits", "--out", str(directory), *flags]) == 0
    return directory


@pytest.fixture(scope="session")
def last(run_directory: Path) -> Checkpoint:
    return checkpoint.read(run_directory / CHECKPOINT_FILE)


@pytest.fixture(scope="session")
def networks(last: Checkpoint, dataset: Dataset) -> Networks:
    """The networks that the run exported."""
    return networks_to_export(kind_named(last.config.model), last, dataset)


@pytest.fixture(scope="session")
def package(run_directory: Path) -> ModelPackage:
    return ModelPackage.open(run_directory / PACKAGE_DIRECTORY)


@pytest.fixture(scope="session")
def graphs(networks: Networks, dataset: Dataset) -> dict[str, ExportedGraph]:
    return export_graphs(modules_of(networks), probe_all(modules_of(networks), dataset.spec, dataset.test))
