from datetime import UTC
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from training.data import Dataset
from training.evaluate.evaluation import EVALUATION_FILE, Evaluation
from training.export.graphs import ExportedGraph
from training.export.package import Contents, write_package
from training.export.probes import probe_all
from training.networks.pair import Networks
from training.run.checkpoint import Checkpoint
from training.run.publish import modules_of
from vaeserve.errors import TrainingError
from vaeserve.package.contents import Tolerance
from vaeserve.package.directory import ModelPackage


def test_the_package_opens_and_says_what_it_is(package: ModelPackage, dataset: Dataset, last: Checkpoint) -> None:
    manifest = package.manifest
    assert (manifest.name, manifest.version, manifest.posterior) == ("digits", 1, "gaussian")
    assert manifest.created_at.tzinfo == UTC
    assert (manifest.data, manifest.latent.shape) == (dataset.spec, (4,))
    assert manifest.likelihood.constants == {"trials": 16}
    assert [(prior.name, prior.noise_size) for prior in manifest.priors] == [("standard", 4), ("mixture", 5)]
    assert manifest.probes.tolerances == {
        "cpu": Tolerance(absolute=5e-5, relative=2e-4),
        "cuda": Tolerance(absolute=5e-4, relative=2e-3),
    }
    assert {file.file for file in manifest.files} == {path.name for path in package.directory.iterdir()} - {
        "manifest.json"
    }


def test_the_manifest_tells_where_the_model_came_from(package: ModelPackage, dataset: Dataset) -> None:
    provenance = package.manifest.provenance
    assert provenance is not None
    assert (provenance.dataset, provenance.data_sha256) == ("digits", dataset.sha256)
    assert (provenance.config["epochs"], provenance.config["epochs_done"]) == (3, 3)
    assert {"torch", "onnx", "onnxruntime"} < provenance.libraries.keys()
    text = package.manifest.to_json()
    assert not [word for word in ("training.", str(package.directory.parent), "/home", ".py") if word in text]


def test_the_manifest_holds_the_held_out_figures(package: ModelPackage, run_directory: Path) -> None:
    assert package.manifest.metrics == Evaluation.read(run_directory / EVALUATION_FILE).metrics


def test_every_output_was_proved(package: ModelPackage) -> None:
    parity, graphs = package.manifest.parity, package.manifest.graphs
    assert parity is not None
    assert graphs.likelihood is not None
    assert [check.output for check in parity.checks] == [
        f"{name}.{output.name}"
        for name, graph in (("encoder", graphs.encoder), ("decoder", graphs.decoder), ("likelihood", graphs.likelihood))
        for output in graph.outputs
    ] + ["prior.mixture.latent", "density.mixture.log_prior"]


def test_a_graph_that_answers_otherwise_is_not_packaged(
    tmp_path: Path, graphs: dict[str, ExportedGraph], networks: Networks, dataset: Dataset, package: ModelPackage
) -> None:
    model = onnx.load_from_string(graphs["decoder"].content)
    bias = next(tensor for tensor in model.graph.initializer if list(tensor.dims) == [8, 8, 1])
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + 0.01, bias.name))
    broken = graphs | {"decoder": graphs["decoder"]._replace(content=model.SerializeToString())}
    manifest = package.manifest
    contents = Contents(
        name="digits",
        data=manifest.data,
        latent_shape=manifest.latent.shape,
        posterior="gaussian",
        likelihood=manifest.likelihood,
        graphs=broken,
        probes=probe_all(modules_of(networks), dataset.spec, dataset.test),
        card={"README.md": b"# digits"},
        metrics={},
        preprocessing="",
        provenance=None,
    )
    with pytest.raises(TrainingError, match=r"^decoder\.\w+: .* no package was written$"):
        write_package(tmp_path / "model", contents, overwrite=True)
    assert list(tmp_path.iterdir()) == []
