"""What is told of a row's bits and its neighbours, on real graphs that do and do not mix rows."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import pytest
from onnx import TensorProto, helper

from serving.engine.providers import Placement
from serving.engine.session import Session
from serving.models.exactness import Exactness, probe_exactness
from serving.models.loading import load
from serving.settings import Settings
from vaeserve.package.contents import Graph, TensorSpec
from vaeserve.package.row_spec import Array

ROWS = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
X, Y = (TensorSpec(name=name, dtype="float32", shape=("batch", 3)) for name in "xy")


def _probe(*nodes: tuple[str, list[str], str], batch_rows: int = 32) -> Exactness:
    """Probes a graph from x to y, both [batch, 3]; a node is its operator, its inputs and its output."""
    made = [helper.make_node(operator, inputs, [output]) for operator, inputs, output in nodes]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in "xy")
    tiny = helper.make_tensor("tiny", TensorProto.FLOAT, [], [2**-10])
    axis = helper.make_tensor("axis", TensorProto.INT64, [], [0])
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [0])
    graph = helper.make_graph(made, "g", [x], [y], [tiny, axis, axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    described = Graph(file="g.onnx", sha256="0" * 64, opset=18, inputs=(X,), outputs=(Y,))
    session = Session(model.SerializeToString(), described, Placement("cpu"))
    return probe_exactness(partial(session.run, outputs=["y"]), {"x": ROWS}, batch_rows, 1.0)


def test_rows_that_ignore_each_other_are_exact() -> None:
    assert _probe(("Sigmoid", ["x"], "y")) == Exactness(True, 0.0)


def test_a_share_of_the_neighbours_is_seen_and_measured() -> None:
    found = _probe(
        ("ReduceMean", ["x", "axes"], "mean"),
        ("Mul", ["mean", "tiny"], "share"),
        ("Add", ["x", "share"], "y"),
    )
    assert not found.is_exact
    assert 2**-14 < found.largest_difference < 2**-7


def test_dependence_on_the_place_alone_is_seen() -> None:
    found = _probe(
        ("Sub", ["x", "x"], "zeros"),
        ("Exp", ["zeros"], "ones"),
        ("CumSum", ["ones", "axis"], "place"),
        ("Mul", ["place", "tiny"], "y"),
    )
    assert found == Exactness(False, 31 * 2**-10)


def test_two_sizes_are_tried_even_when_there_is_no_time() -> None:
    sizes: list[int] = []

    def run(feeds: Mapping[str, Array]) -> list[Array]:
        sizes.append(len(feeds["x"]))
        return [feeds["x"]]

    assert probe_exactness(run, {"x": ROWS}, 64, 0.0).is_exact
    assert sizes == [1, 1, 64, 2]


def test_whole_numbers_and_nan_are_compared_too() -> None:
    def run(feeds: Mapping[str, Array]) -> list[Array]:
        x = feeds["x"]
        return [np.full_like(x, np.nan), (x > 0).astype(np.uint8) + np.uint8(len(x) == 7)]

    assert probe_exactness(run, {"x": ROWS}, 4, 1.0) == Exactness(True, 0.0)
    assert probe_exactness(run, {"x": ROWS}, 64, 1.0) == Exactness(False, 0.0)


@pytest.mark.parametrize("batch_rows", [1, 2, 3])
def test_small_batches_will_do(batch_rows: int) -> None:
    assert _probe(("Sigmoid", ["x"], "y"), batch_rows=batch_rows).is_exact


def test_loading_tells(settings: Settings) -> None:
    assert load(settings.package, settings).exactness == Exactness(True, 0.0)
