from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from benchmarks.peers.joined import Decoder


@pytest.fixture
def doubling(tmp_path: Path) -> Path:
    """A graph that doubles latents of two numbers."""
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in ("latent", "expectation")
    ]
    node = helper.make_node("Add", ["latent", "latent"], ["expectation"])
    graph = helper.make_graph([node], "doubling", values[:1], values[1:])
    opset = helper.make_opsetid("", 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), tmp_path / "decoder.onnx")
    return tmp_path / "decoder.onnx"


@pytest.mark.parametrize("rows", [[3], [1, 1], [2, 1, 4]])
def test_every_call_gets_its_own_rows(doubling: Path, rows: list[int]) -> None:
    calls = [np.full((count, 2), number, np.float32) for number, count in enumerate(rows)]
    answers = Decoder(doubling).run_together(calls)
    assert len(answers) == len(calls)
    for call, answer in zip(calls, answers, strict=True):
        np.testing.assert_array_equal(answer, 2 * call, strict=True)
