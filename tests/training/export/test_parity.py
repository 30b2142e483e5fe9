from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime import InferenceSession

from training.data import Dataset
from training.export import onnx_runner, parity
from training.export.graphs import ExportedGraph
from training.export.onnx_runner import batches, open_session, reason_of, run_in_batches
from training.export.parity import BATCH_SIZES, prove
from training.export.probes import TensorArrays, probe_all
from training.networks.pair import Networks
from training.run.publish import modules_of
from vaeserve.errors import OutOfMemory, TrainingError
from vaeserve.slices import SLICE_BYTES


def contents(graphs: dict[str, ExportedGraph]) -> dict[str, bytes]:
    return {name: graph.content for name, graph in graphs.items()}


def test_exported_graphs_pass_and_the_report_says_how_closely(
    graphs: dict[str, ExportedGraph], networks: Networks, dataset: Dataset
) -> None:
    parity = prove(contents(graphs), probe_all(modules_of(networks), dataset.spec, dataset.test), dataset.spec)
    assert parity.batch_sizes == (1, 2, 3, 7, 64)
    assert {check.output for check in parity.checks} == {
        "encoder.mean",
        "encoder.log_variance",
        "decoder.data",
        "decoder.expectation",
        "decoder.parameters",
        "likelihood.log_likelihood",
    }
    assert all(check.rows == 64 for check in parity.checks)


@pytest.mark.parametrize("graph", ["encoder", "decoder", "likelihood"])
def test_a_graph_with_one_altered_weight_is_refused(
    graphs: dict[str, ExportedGraph], networks: Networks, dataset: Dataset, graph: str
) -> None:
    altered = contents(graphs) | {graph: perturbed(graphs[graph].content)}
    with pytest.raises(TrainingError, match=rf"^{graph}\.\w+: ONNX Runtime's answers lie up to [\d.e+-]+ from"):
        prove(altered, probe_all(modules_of(networks), dataset.spec, dataset.test), dataset.spec)


def test_what_is_no_graph_is_refused() -> None:
    with pytest.raises(TrainingError, match="encoder: is not an ONNX graph"):
        open_session("encoder", b"nothing")
    with pytest.raises(TrainingError, match="encoder: ONNX Runtime does not take the graph"):
        open_session("encoder", b"")


def test_batches_are_no_larger_than_there_is_memory_for(
    graphs: dict[str, ExportedGraph], networks: Networks, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    run = onnx_runner.run

    def run_with_little_memory(
        session: InferenceSession, inputs: TensorArrays, names: Sequence[str]
    ) -> list[np.ndarray]:
        sizes.append(len(next(iter(inputs.values()))))
        if sizes[-1] > 3:
            raise OutOfMemory("4 rows took more memory than there is")
        return run(session, inputs, names)

    probes = probe_all(modules_of(networks), dataset.spec, dataset.test)
    monkeypatch.setattr(onnx_runner, "run", run_with_little_memory)
    found = prove(contents(graphs), probes, dataset.spec)
    assert found.batch_sizes == (1, 2, 3)
    assert max(sizes) == 7
    monkeypatch.setattr(parity, "row_bytes", lambda content: SLICE_BYTES // 3)
    sizes.clear()
    assert prove(contents(graphs), probes, dataset.spec) == found
    assert max(sizes) == 3


def test_a_failure_is_told_without_places_in_a_strangers_source() -> None:
    said = "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Reshape node. "
    said += "Name:'r' Status Message: /onnxruntime_src/a/b.h:91 a::B(const C&, bool) sizes differ\nand more"
    assert reason_of(RuntimeError(said)) == "Reshape node. sizes differ and more"
    assert reason_of(MemoryError()) == "MemoryError"


@pytest.mark.parametrize("size", BATCH_SIZES)
def test_batches_leave_no_row_out(graphs: dict[str, ExportedGraph], size: int) -> None:
    latent = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)
    outputs = run_in_batches(open_session("decoder", graphs["decoder"].content), {"latent": latent}, size)
    assert {name: len(array) for name, array in outputs.items()} == {"data": 64, "expectation": 64, "parameters": 64}


def test_batches_cover_the_rows_once() -> None:
    assert [(part.start, part.stop) for part in batches(5, 2)] == [(0, 2), (2, 4), (4, 6)]
    assert len(list(batches(0, 256))) == 1


def perturbed(content: bytes) -> bytes:
    """Returns a graph whose largest constant has one value moved a little."""
    model = onnx.load_from_string(content)
    largest = max(model.graph.initializer, key=lambda tensor: numpy_helper.to_array(tensor).size)
    values = numpy_helper.to_array(largest).copy()
    values.flat[5] += 0.05
    largest.CopyFrom(numpy_helper.from_array(values, largest.name))
    return model.SerializeToString()
