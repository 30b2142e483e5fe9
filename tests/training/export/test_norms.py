"""Group norms of large pictures are as near to float64 as PyTorch's."""

from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.export import Dim

from training.export.graphs import trace
from training.export.onnx_runner import open_session
from training.export.probes import GraphModule


def _answer(model: onnx.ModelProto, rows: np.ndarray) -> np.ndarray:
    answer: np.ndarray = open_session("norm", model.SerializeToString()).run(None, {"x": rows})[0]
    return answer


@pytest.mark.parametrize("affine", [True, False])
def test_sums_go_over_the_rows_of_a_picture_first(affine: bool) -> None:
    torch.manual_seed(0)
    norm = nn.GroupNorm(2, 6, eps=1e-6, affine=affine).eval()
    for weight in norm.parameters():
        nn.init.uniform_(weight, 0.5, 2.0)
    module = GraphModule(norm, ("x",), ("y",))
    free = {"x": {2: Dim("h"), 3: Dim("w")}}
    model = trace("norm", module, {"x": np.zeros((2, 6, 5, 7), np.float32)}, free)
    kinds = Counter(node.op_type for node in model.graph.node)
    assert (kinds["InstanceNormalization"], kinds["ReduceSumSquare"]) == (0, 1)
    for shape in ((1, 6, 3, 4), (3, 6, 512, 480)):
        rows = (torch.randn(shape) + 3).numpy()
        with torch.inference_mode():
            exact = nn.GroupNorm.forward(norm.double(), torch.from_numpy(rows).double()).numpy()
            norm.float()
        assert np.abs(_answer(model, rows) - exact).max() < 5e-6  # 3e-5 in one sum


def test_rows_of_one_shape_are_exported_as_they_were() -> None:
    module = GraphModule(nn.GroupNorm(2, 6).eval(), ("x",), ("y",))
    model = trace("norm", module, {"x": np.zeros((2, 6, 5, 7), np.float32)})
    assert "InstanceNormalization" in {node.op_type for node in model.graph.node}
