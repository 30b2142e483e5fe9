"""Pixel shuffles at the end of a decoder are exported as copies of runs of channels, with the same answers."""

from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.nn import functional

from training.export.graphs import FreeAxes, trace
from training.export.onnx_runner import open_session
from training.export.probes import GraphModule

ROWS = torch.randn(3, 5, 4, 6, generator=torch.Generator().manual_seed(0))


class _Shuffled(nn.Module):
    """A convolution whose channels become places, in rows of a picture."""

    def __init__(self, convolution: nn.Module, block: int = 2, *, is_taken_twice: bool = False) -> None:
        super().__init__()
        self.convolution, self.block, self.is_taken_twice = convolution, block, is_taken_twice

    def forward(self, rows: Tensor) -> Tensor:
        pixels = self.convolution(rows)
        picture = functional.pixel_shuffle(pixels, self.block).permute(0, 2, 3, 1)
        return picture + pixels.mean() if self.is_taken_twice else picture


def _trace(module: nn.Module, free: dict[str, FreeAxes] | None = None) -> onnx.ModelProto:
    return trace("shuffled", GraphModule(module, ("x",), ("y",)), {"x": ROWS.numpy()}, free or {})


def _kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def _answer(model: onnx.ModelProto, rows: Tensor) -> np.ndarray:
    answer: np.ndarray = open_session("shuffled", model.SerializeToString()).run(None, {"x": rows.numpy()})[0]
    return answer


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("block", [2, 3])
def test_a_shuffled_convolution_answers_the_same(block: int, bias: bool) -> None:
    torch.manual_seed(1)
    module = _Shuffled(nn.Conv2d(5, 7 * block**2, 3, stride=2, padding=1, bias=bias), block).eval()
    model = _trace(module)
    assert "DepthToSpace" not in _kinds(model)
    for rows in (ROWS[:1], ROWS):
        with torch.inference_mode():
            expected = module(rows).numpy()
        np.testing.assert_allclose(_answer(model, rows), expected, atol=1e-6)


@pytest.mark.parametrize(
    "module",
    [
        _Shuffled(nn.Conv2d(5, 8, 1), is_taken_twice=True),
        _Shuffled(nn.Sequential(nn.Conv2d(5, 8, 1), nn.SiLU())),
        _Shuffled(nn.Sequential(nn.Conv2d(5, 40, 1), nn.Conv2d(40, 40, 1, groups=5))),
    ],
    ids=["taken twice", "another operator between", "groups"],
)
def test_other_shuffles_stay(module: nn.Module) -> None:
    model = _trace(module.eval())
    assert _kinds(model)["DepthToSpace"] == 1
    with torch.inference_mode():
        expected = module(ROWS).numpy()
    np.testing.assert_allclose(_answer(model, ROWS), expected, atol=1e-6)


def test_shuffles_of_pictures_of_any_size_stay() -> None:
    model = _trace(_Shuffled(nn.Conv2d(5, 8, 1)).eval(), {"x": {2: Dim("h"), 3: Dim("w")}})
    assert _kinds(model)["DepthToSpace"] == 1
