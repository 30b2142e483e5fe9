import numpy as np
import onnx
from torch import Tensor, nn

from training.export.graphs import nodes_of, trace
from training.export.onnx_runner import open_session, run
from training.export.probes import GraphModule


class _Guarded(nn.Module):
    """A logarithm and a ratio that small constants keep finite at 0."""

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        return (rows + 1e-10).log(), rows / (rows.sum(1, keepdim=True) + 1e-15)


def _graph(module: nn.Module, *outputs: str) -> onnx.ModelProto:
    return trace("guarded", GraphModule(module, ("rows",), outputs), {"rows": np.ones((2, 3), np.float32)})


def test_small_constants_stay() -> None:
    model = _graph(_Guarded(), "log", "ratio")
    [rows] = [value.name for value in model.graph.input]
    log, ratio = run(
        open_session("guarded", model.SerializeToString()), {rows: np.zeros((1, 3), np.float32)}, ["log", "ratio"]
    )
    np.testing.assert_allclose(log, np.log(1e-10), rtol=1e-6)
    assert (ratio == 0).all()


def test_what_changes_nothing_goes() -> None:
    model = _graph(nn.Sequential(nn.Identity(), nn.Dropout(0.5), nn.ReLU()).eval(), "rows_above_0")
    assert [node.op_type for node in nodes_of(model.graph)] == ["Relu"]
