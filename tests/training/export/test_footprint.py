import onnx
from onnx import TensorProto, helper

from tests.support.make_tiny_package import TINY
from training.export.footprint import row_bytes
from vaeserve.package.sizes import PictureSize


def _graph(nodes: list[onnx.NodeProto], **constants: list[int]) -> bytes:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 10]) for name in "xy")
    weights = [helper.make_tensor(name, TensorProto.INT64, [len(c)], c) for name, c in constants.items()]
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()


def test_what_lives_at_the_same_time_is_summed() -> None:
    chain = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    assert row_bytes(_graph(chain)) == 2 * 40
    chain[2] = helper.make_node("Add", ["b", "x"], ["y"])  # x lives to the end
    assert row_bytes(_graph(chain)) == 3 * 40


def test_what_is_wide_inside_alone_is_seen() -> None:
    wide = [
        helper.make_node("Tile", ["x", "times"], ["wide"]),
        helper.make_node("ReduceSum", ["wide", "axis"], ["narrow"]),
        helper.make_node("Expand", ["narrow", "shape"], ["y"]),
    ]
    assert row_bytes(_graph(wide, times=[1, 1000], axis=[1], shape=[1, 10])) == 40 + 40_000


def test_the_tiny_packages_graphs() -> None:
    decoder = (TINY / "decoder.onnx").read_bytes()
    assert row_bytes(decoder) == 16 * 4 * 4  # parameters, which are an output; and what is at hand beside them


def test_a_picture_takes_what_its_size_says() -> None:
    """Attention over every place of a picture, of a shape that the graph computes: it grows with the square."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"], start=1, end=2),
        helper.make_node("Concat", ["zero", "shape", "one"], ["column"], axis=0),
        helper.make_node("Reshape", ["x", "column"], ["queries"]),
        helper.make_node("Transpose", ["queries"], ["keys"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["queries", "keys"], ["scores"]),
        helper.make_node("ReduceSum", ["scores", "last"], ["y"], keepdims=0),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "width/8"]) for name in "xy")
    constants = [
        helper.make_tensor(name, TensorProto.INT64, [1], [n]) for name, n in (("zero", 0), ("one", 1), ("last", 2))
    ]
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()
    for places in (8, 64):
        scores = 4 * places**2
        assert scores <= row_bytes(content, PictureSize(8, 8 * places)) <= scores + 4 * 4 * places + 64


def test_weights_do_not_count() -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("MatMul", ["a", "v"], ["y"])]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "height"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1000])
    weights = [
        helper.make_tensor(name, TensorProto.FLOAT, [100, columns], [0.0] * 100 * columns)
        for name, columns in (("w", 100), ("v", 1000))
    ]
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()
    assert row_bytes(content, PictureSize(100, 8)) == 400 + 4000
