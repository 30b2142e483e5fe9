"""Sessions of the tiny package's graphs."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import TensorProto, helper

from serving.engine.providers import Placement
from serving.engine.session import Session
from vaeserve.errors import EngineFailure, PackageError
from vaeserve.package.contents import Graph, TensorSpec
from vaeserve.package.directory import ModelPackage
from vaeserve.package.row_spec import Array

if TYPE_CHECKING:
    import onnxruntime


@pytest.fixture(scope="module")
def package(tiny: Path) -> ModelPackage:
    return ModelPackage.open(tiny)


def test_runs_a_graph(package: ModelPackage) -> None:
    graph = package.manifest.graphs.decoder
    session = Session(package.read(graph), graph, Placement("cpu"))
    data, expectation = session.run({"latent": np.zeros((3, 3), np.float32)}, ["data", "expectation"])
    assert (data.dtype.name, data.shape) == ("uint8", (3, 4, 4, 1))
    np.testing.assert_array_equal(expectation, np.full((3, 4, 4, 1), 8, np.float32))


def test_what_onnxruntime_raises_becomes_an_engine_failure(package: ModelPackage) -> None:
    graph = package.manifest.graphs.decoder
    session = Session(package.read(graph), graph, Placement("cpu"))
    with pytest.raises(EngineFailure, match=r"decoder\.onnx"):
        session.run({"latent": np.zeros((3, 99), np.float32)}, ["data"])


def test_refuses_a_graph_that_is_not_what_the_manifest_says(package: ModelPackage) -> None:
    graphs = package.manifest.graphs
    with pytest.raises(PackageError, match=r"encoder\.onnx: input .*latent"):
        Session(package.read(graphs.decoder), graphs.encoder, Placement("cpu"))


@pytest.mark.parametrize("shape", [["batch", "width", 3], ["batch"], [2, 3], []])
def test_refuses_a_graph_whose_rows_are_of_no_fixed_shape(shape: list[str | int]) -> None:
    row = helper.make_tensor_value_info("latent", TensorProto.FLOAT, shape)
    out = helper.make_tensor_value_info("mean", TensorProto.FLOAT, shape)
    graph = helper.make_graph([helper.make_node("Identity", ["latent"], ["mean"])], "odd", [row], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    latent, mean = (TensorSpec(name=name, dtype="float32", shape=("batch", 3)) for name in ("latent", "mean"))
    described = Graph(file="odd.onnx", sha256="0" * 64, opset=18, inputs=(latent,), outputs=(mean,))
    with pytest.raises(PackageError, match=r"odd\.onnx: input latent is not what the manifest says"):
        Session(model.SerializeToString(), described, Placement("cpu"))


def test_refuses_bytes_that_are_no_graph(package: ModelPackage) -> None:
    graph = package.manifest.graphs.encoder
    with pytest.raises(PackageError, match=r"encoder\.onnx: is not an ONNX graph"):
        Session(b"no graph", graph, Placement("cpu"))
    with pytest.raises(PackageError, match=r"encoder\.onnx: ONNX Runtime cannot load it"):
        Session(b"", graph, Placement("cpu"))


def test_a_session_does_not_keep_the_file(package: ModelPackage) -> None:
    graph = package.manifest.graphs.decoder
    content = package.read(graph)
    before = sys.getrefcount(content)
    session = Session(content, graph, Placement("cpu"))
    assert sys.getrefcount(content) == before
    assert session.run({"latent": np.zeros((1, 3), np.float32)}, ["data"])[0].shape == (1, 4, 4, 1)


@pytest.mark.parametrize(
    ("shape", "gives_back"), [((1, 16, 16, 3), False), ((4, 256, 256, 3), False), ((5, 256, 256, 3), True)]
)
def test_what_a_large_batch_of_pictures_took_is_given_back(
    free: Path, shape: tuple[int, ...], gives_back: bool
) -> None:
    package = ModelPackage.open(free)
    graph = package.manifest.graphs.encoder.model_copy(update={"footprints": ()})
    session = Session(package.read(graph), graph, Placement("cpu"))
    inner = session._session
    noted = []

    def run(outputs: list[str], feeds: dict[str, Array], options: "onnxruntime.RunOptions | None") -> list[Array]:
        noted.append(options is not None and options.get_run_config_entry("memory.enable_memory_arena_shrinkage"))
        results: list[Array] = inner.run(outputs, feeds, options)
        return results

    session._session = SimpleNamespace(run=run)
    session.run({"data": np.zeros(shape, np.uint8)}, ["mean"])
    assert noted == ["cpu:0" if gives_back else False]
