"""Graphs that take weights from elsewhere, wherever in a graph a tensor can lie."""

from collections.abc import Callable

import numpy as np
import pytest
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, helper

from tests.support.make_tiny_package import TINY
from vaeserve.package.external_data import check_weights


def _outside() -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": "w.bin", "offset": "0", "length": "12"}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def _node(**attribute: object) -> NodeProto:
    return NodeProto(op_type="Any", attribute=[AttributeProto(name="a", **attribute)])  # type: ignore[arg-type]


def _graph(**fields: object) -> GraphProto:
    return GraphProto(name="g", **fields)  # type: ignore[arg-type]


def _training() -> ModelProto:
    model = ModelProto(graph=_graph())
    model.training_info.add().algorithm.initializer.append(_outside())
    return model


PLACES: dict[str, Callable[[], ModelProto]] = {
    "initializer": lambda: ModelProto(graph=_graph(initializer=[_outside()])),
    "constant": lambda: ModelProto(graph=_graph(node=[_node(t=_outside())])),
    "constants": lambda: ModelProto(graph=_graph(node=[_node(tensors=[_outside()])])),
    "sparse initializer": lambda: ModelProto(graph=_graph(sparse_initializer=[SparseTensorProto(values=_outside())])),
    "sparse indices": lambda: ModelProto(graph=_graph(sparse_initializer=[SparseTensorProto(indices=_outside())])),
    "sparse constant": lambda: ModelProto(
        graph=_graph(node=[_node(sparse_tensor=SparseTensorProto(values=_outside()))])
    ),
    "sparse constants": lambda: ModelProto(
        graph=_graph(node=[_node(sparse_tensors=[SparseTensorProto(values=_outside())])])
    ),
    "branch": lambda: ModelProto(graph=_graph(node=[_node(g=_graph(initializer=[_outside()]))])),
    "branch of a branch": lambda: ModelProto(
        graph=_graph(node=[_node(graphs=[_graph(node=[_node(g=_graph(node=[_node(t=_outside())]))])])])
    ),
    "function": lambda: ModelProto(
        functions=[helper.make_function("d", "f", [], [], [_node(t=_outside())], [])], graph=_graph()
    ),
    "default of a function": lambda: ModelProto(
        functions=[
            helper.make_function("d", "f", [], [], [], [], attribute_protos=[AttributeProto(name="a", t=_outside())])
        ]
    ),
    "training": _training,
}


@pytest.mark.parametrize("place", PLACES)
def test_weights_from_elsewhere_are_found(place: str) -> None:
    content = PLACES[place]().SerializeToString()
    with pytest.raises(ValueError, match="takes weights from another file"):
        check_weights(content)


def test_either_field_alone_is_enough() -> None:
    for field in ("data_location", "external_data"):
        tensor = _outside()
        tensor.ClearField(field)
        with pytest.raises(ValueError, match="takes weights from another file"):
            check_weights(ModelProto(graph=_graph(initializer=[tensor])).SerializeToString())


def test_a_number_written_in_more_bytes_than_it_takes_hides_nothing() -> None:
    tensor = b"\xf0\x00" + b"\x81\x80\x00"  # field 14 as a varint, 1 in three bytes
    graph = b"\x2a" + bytes([len(tensor)]) + tensor
    with pytest.raises(ValueError, match="takes weights from another file"):
        check_weights(b"\x3a\x87\x00" + graph)


def test_graphs_that_hold_their_weights_pass() -> None:
    for path in TINY.glob("*.onnx"):
        check_weights(path.read_bytes())
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1000], np.arange(1000.0))
    tensor.data_location = TensorProto.DEFAULT
    check_weights(ModelProto(graph=_graph(initializer=[tensor])).SerializeToString())


@pytest.mark.parametrize("content", [b"no graph", b"\x3a\x05\x00", b"\x0b\x0c", b"\xff" * 20, b"\x00\x00"])
def test_what_is_no_protobuf_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="is not an ONNX graph"):
        check_weights(content)


def test_graphs_within_graphs_end_somewhere() -> None:
    deep = ModelProto(graph=_graph())
    graph = deep.graph
    for _ in range(40):
        graph = graph.node.add().attribute.add(name="a").g
    with pytest.raises(ValueError, match="is not an ONNX graph: too deep"):
        check_weights(deep.SerializeToString())
