from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from training.data import Dataset
from training.export.graphs import ExportedGraph, export_graph, export_graphs, read_back
from training.export.probes import GraphModule, probe_all
from training.networks.pair import Networks
from training.run.publish import modules_of
from vaeserve.errors import TrainingError
from vaeserve.package.contents import TensorSpec


class Module(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, values: Tensor) -> Tensor:
        return self.function(values)


def export(function: Callable[[Tensor], Tensor]) -> ExportedGraph:
    module = GraphModule(Module(function), ("values",), ("answer",))
    return export_graph("likelihood", module, {"values": np.zeros((2, 3), np.float32)})


def test_inputs_and_outputs(graphs: dict[str, ExportedGraph]) -> None:
    data = TensorSpec(name="data", dtype="uint8", shape=("batch", 8, 8, 1))
    wide = {
        name: TensorSpec(name=name, dtype="float32", shape=("batch", 8, 8, 1)) for name in ("expectation", "parameters")
    }
    latent = {
        name: TensorSpec(name=name, dtype="float32", shape=("batch", 4)) for name in ("mean", "log_variance", "latent")
    }
    score = TensorSpec(name="log_likelihood", dtype="float32", shape=("batch",))
    assert graphs["encoder"].inputs == (data,)
    assert graphs["encoder"].outputs == (latent["mean"], latent["log_variance"])
    assert graphs["decoder"].inputs == (latent["latent"],)
    assert graphs["decoder"].outputs == (data, wide["expectation"], wide["parameters"])
    assert graphs["likelihood"].inputs == (data, wide["parameters"])
    assert graphs["likelihood"].outputs == (score,)
    assert {graph.opset for graph in graphs.values()} == {18}


def test_only_plain_operators_of_the_standard_domain(graphs: dict[str, ExportedGraph]) -> None:
    for graph in graphs.values():
        model = onnx.load_from_string(graph.content)
        assert {node.domain for node in model.graph.node} == {""}
        assert not any(node.op_type.startswith("Random") for node in model.graph.node)
        assert not model.functions


def test_nothing_tells_where_it_was_made(graphs: dict[str, ExportedGraph]) -> None:
    checkout = str(Path(__file__).parents[3]).encode()
    for graph in graphs.values():
        traces = (checkout, b"/tmp", b"/home", b"-packages", b"training", b"forward(", b"stack_trace", b"pkg.torch")
        assert not [word for word in traces if word in graph.content]


def test_the_same_weights_give_the_same_bytes(
    graphs: dict[str, ExportedGraph], networks: Networks, dataset: Dataset
) -> None:
    assert export_graphs(modules_of(networks), probe_all(modules_of(networks), dataset.spec, dataset.test)) == graphs


def test_a_random_operator_is_refused() -> None:
    with pytest.raises(TrainingError, match="likelihood: the graph holds RandomNormalLike"):
        export(lambda values: (values + torch.randn_like(values)).sum(1))


def test_a_frozen_batch_axis_is_refused() -> None:
    model = onnx.load_from_string(export(lambda values: values.sum(1)).content)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    with pytest.raises(TrainingError, match=r"likelihood\.values: the graph does not take batches of any length"):
        read_back("likelihood", model)


def test_what_cannot_be_exported_is_one_line() -> None:
    with pytest.raises(TrainingError, match="likelihood: PyTorch cannot export it") as raised:
        export(lambda values: values if float(values.sum()) > 0 else -values)
    assert "\n" not in str(raised.value)
