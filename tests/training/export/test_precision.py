"""The gate of half precision on a trained pair, and on pairs that do not pass it."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.make_half_package import overflowing
from training import cli
from training.data import Dataset
from training.export import precision
from training.export.graphs import ExportedGraph
from training.export.precision import InPrecision, in_precision
from training.export.probes import Probe, kinds_of, probe_all
from training.networks.pair import Networks
from training.run.publish import modules_of
from vaeserve.errors import TrainingError
from vaeserve.package.contents import PairPrecision
from vaeserve.package.directory import ModelPackage

Graphs = dict[str, ExportedGraph]


@pytest.fixture(scope="module")
def probes(networks: Networks, dataset: Dataset) -> dict[str, Probe]:
    return probe_all(modules_of(networks), dataset.spec, dataset.test)


def converted(
    graphs: Graphs, probes: dict[str, Probe], dataset: Dataset, wanted: PairPrecision = "fp16"
) -> InPrecision:
    return in_precision(graphs, probes, dataset.spec, wanted, real_rows=kinds_of(dataset.spec).real)


def test_a_trained_pair_passes_and_keeps_its_inputs_and_outputs(
    graphs: Graphs, probes: dict[str, Probe], dataset: Dataset
) -> None:
    half = converted(graphs, probes, dataset)
    assert half.float32 == {name: graphs[name] for name in ("encoder", "decoder")}
    assert half.graphs["likelihood"] == graphs["likelihood"]
    for name in ("encoder", "decoder"):
        assert half.graphs[name][2:] == graphs[name][2:]
        assert len(half.graphs[name].content) < len(graphs[name].content)
    assert half.figures["fp16_psnr_loss_db"] < 0.1
    assert half.figures["fp16_cosine"] > 0.9999
    assert 5e-5 < half.tolerance.absolute < 0.1


def test_float32_is_left_as_it_is(graphs: Graphs, probes: dict[str, Probe], dataset: Dataset) -> None:
    same = converted(graphs, probes, dataset, "float32")
    assert (same.graphs, same.float32, same.figures) == (graphs, {}, {})


def test_a_pair_that_overflows_is_refused(graphs: Graphs, probes: dict[str, Probe], dataset: Dataset) -> None:
    sums = overflowing(graphs["decoder"].content, "latent", np.full(4, 10_000.0))
    large = graphs | {"decoder": graphs["decoder"]._replace(content=sums.SerializeToString())}
    with pytest.raises(TrainingError, match=r"^precision fp16: decoder\.\w+ overflows for \d+ of 64 probe rows$"):
        converted(large, probes, dataset)


@pytest.mark.parametrize("bound", [("PSNR_LOSS", -1.0), ("COSINE", 2.0)])
def test_a_pair_that_loses_too_much_is_refused_with_the_figures(
    graphs: Graphs,
    probes: dict[str, Probe],
    dataset: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    bound: tuple[str, float],
) -> None:
    monkeypatch.setattr(precision, *bound)
    with pytest.raises(TrainingError, match=r"lose 0\.0\d dB \(allowed: .* is \d\.\d{5} \(allowed: .*") as raised:
        converted(graphs, probes, dataset)
    assert f"(allowed: {bound[1]})" in str(raised.value)


def test_graphs_are_proved_before_they_are_halved(graphs: Graphs, probes: dict[str, Probe], dataset: Dataset) -> None:
    wrong = probes | {"encoder": Probe(probes["encoder"].inputs, {"mean": probes["encoder"].outputs["mean"] + 1})}
    with pytest.raises(TrainingError, match=r"^encoder\.mean: ONNX Runtime's answers lie up to"):
        converted(graphs, wrong, dataset)


def test_a_run_is_exported_in_half_precision(tmp_path: Path, run_directory: Path, package: ModelPackage) -> None:
    out = tmp_path / "half"
    assert cli.export([str(run_directory), "--out", str(out), "--precision", "fp16"]) == 0
    manifest = ModelPackage.open(out).manifest
    assert (manifest.precision, package.manifest.precision) == ("fp16", "float32")
    assert manifest.fingerprint != package.manifest.fingerprint
    assert manifest.float32 is not None
    assert manifest.float32.encoder.file == "encoder-float32.onnx"
    assert manifest.float32.encoder.sha256 == package.manifest.graphs.encoder.sha256
    assert manifest.metrics["fp16_cosine"] > 0.999
    assert manifest.probes.tolerances["cuda"] == manifest.probes.tolerances["cpu"]
