"""Which operators are halved, and what a device with float16 kernels would answer."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from training.export.half import halve, is_halved, with_rounding
from training.export.onnx_runner import open_session, run

FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
IDENTITY = np.eye(4, dtype=np.float32)


def model(nodes: str, outputs: str = "y", **constants: np.ndarray) -> onnx.ModelProto:
    """Returns a graph of x [batch, 4] in ONNX's own notation; `w` is a matrix of 4 by 4."""
    declared = ", ".join(f"float[batch, 4] {name}" for name in outputs.split())
    parsed = parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 18]> g (float[batch, 4] x) => ({declared}) {{ {nodes} }}'
    )
    random = np.random.default_rng(0)
    arrays = {"w": random.normal(0, 0.5, (4, 4)).astype(np.float32), "two": np.array(2, np.float32), **constants}
    used = {name for node in parsed.graph.node for name in node.input}
    parsed.graph.initializer.extend(numpy_helper.from_array(it, name) for name, it in arrays.items() if name in used)
    onnx.checker.check_model(parsed, full_check=True)
    return parsed


def halved_values(graph: onnx.ModelProto) -> set[str]:
    """Returns the values that a halved graph computes in float16."""
    halved = halve(graph)
    onnx.checker.check_model(halved, full_check=True)
    computed = {name for node in halved.graph.node if node.op_type != "Cast" for name in node.output}
    values = (*halved.graph.value_info, *halved.graph.output)
    return {it.name for it in values if it.name in computed and it.type.tensor_type.elem_type == HALF}


def answers(graph: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    (answer,) = run(open_session("g", graph.SerializeToString()), {"x": x.astype(np.float32)}, ["y"])
    return answer


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("s = Div(x, two) a = MatMul(s, w) b = Relu(a) z = MatMul(b, w)", {"a", "b", "z"}),
        (
            "a = MatMul(x, w) b = Softmax(a) c = MatMul(b, w) d = Exp(c) e = Neg(d) z = MatMul(e, w)",
            {"a", "c", "e", "z"},
        ),
        ("a = MatMul(x, w) n = LayerNormalization(a, g) s = Add(n, g) r = Relu(s) z = MatMul(r, w)", {"a", "r", "z"}),
        ("a = MatMul(x, large) b = MatMul(a, w) c = Mul(b, large) z = MatMul(c, w)", {"b", "z"}),
        ("a = MatMul(x, w) b = Add(a, small) c = Div(b, two) d = Div(c, a) z = MatMul(d, w)", {"a", "z"}),
        ("a = MatMul(x, w) b = Mul(a, a) m = ReduceMean(b) c = Mul(a, m) z = MatMul(c, w)", {"a", "c", "z"}),
        (
            "a = MatMul(x, w) t = Transpose(a) s = MatMul(a, t) p = Softmax(s) o = MatMul(p, a) z = MatMul(o, w)",
            {"a", "o", "z"},
        ),
        ("a = MatMul(x, w) b = Add(a, small) z = MatMul(b, w)", {"a", "z"}),
        ("z = Exp(x)", set()),
    ],
    ids=["products", "softmax", "norms", "constants", "divisions", "squares", "attention", "underflow", "first"],
)
def test_what_lies_between_products_is_float16_unless_it_needs_float32(nodes: str, expected: set[str]) -> None:
    values = {"g": np.ones(4), "large": np.full((4, 4), 1e5), "small": np.array(1e-15)}
    constants: dict[str, Any] = {name: array.astype(np.float32) for name, array in values.items()}
    graph = model(f"{nodes} y = MatMul(z, w)", **constants)
    assert halved_values(graph) == expected
    assert is_halved(halve(graph)) == bool(expected)


def test_what_is_answered_stays_float32_though_products_follow() -> None:
    assert halved_values(model("a = MatMul(x, w) b = Relu(a) c = MatMul(b, w) y = MatMul(c, w)", outputs="a y")) == {
        "b",
        "c",
    }


def test_the_region_and_the_scales_of_a_resize_stay_float32() -> None:
    nodes = """
        a = MatMul(x, w) b = Reshape(a, square) c = Resize<mode = "nearest">(b, , scales)
        d = MatMul(c, w1) e = ReduceMean<keepdims = 0>(d, axes) y = MatMul(e, w)
    """
    constants: dict[str, Any] = {
        "square": np.array([0, 1, 2, 2]),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "axes": np.array([1, 2]),
        "w1": np.ones((4, 4), np.float32),
    }
    assert halved_values(model(nodes, **constants)) == {"a", "b", "c", "d"}


def test_a_weight_that_two_products_share_is_stored_once_and_graphs_repeat() -> None:
    graph = model("a = MatMul(x, w) b = MatMul(a, w) y = MatMul(b, w)")
    halved = halve(graph)
    kinds = sorted(it.data_type for it in halved.graph.initializer)
    assert kinds == [FLOAT, HALF]  # the last product's is float32
    assert halved.SerializeToString(deterministic=True) == halve(graph).SerializeToString(deterministic=True)


def test_answers_are_near_those_of_float32() -> None:
    graph = model("a = MatMul(x, w) b = Sigmoid(a) c = Mul(a, b) y = MatMul(c, w)")
    x = np.random.default_rng(1).normal(size=(5, 4))
    expected = answers(graph, x)
    rounded = answers(with_rounding(halve(graph)), x)
    np.testing.assert_allclose(rounded, expected, atol=5e-3)
    assert np.abs(rounded - expected).max() > 1e-5
    np.testing.assert_allclose(answers(halve(graph), x), expected, atol=5e-3)


def test_rounding_shows_what_overflows_though_the_cpu_does_not_overflow() -> None:
    graph = model("a = MatMul(x, big) b = MatMul(a, small) y = MatMul(b, w)", big=300 * IDENTITY, small=IDENTITY / 300)
    x = np.full((1, 4), 300.0)
    assert np.isfinite(answers(halve(graph), x)).all()
    assert not np.isfinite(answers(with_rounding(halve(graph)), x)).any()
