from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.linear_pair import model
from training.bring.borders import Border
from training.bring.component import Component
from training.bring.join import join_graph, signature_of
from training.export.onnx_runner import open_session, run_in_batches
from training.export.probes import Probe

ROWS = 3 * torch.randn(5, 2, 3, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "function",
    [
        lambda rows: rows + 0.5,
        lambda rows: rows - 0.5,
        lambda rows: rows * 3,
        lambda rows: rows / 3,
        lambda rows: rows.sigmoid(),
        lambda rows: (rows + 0.5).round(),
        lambda rows: rows.clamp(-1, 2),
        lambda rows: rows.permute(0, 3, 1, 2),
        lambda rows: rows.reshape(-1, 6, 4),
        lambda rows: rows.narrow(2, 1, 2),
        lambda rows: rows.clamp(0, 9).round().to(torch.uint8),
        lambda rows: rows.clamp(0, 9).to(torch.uint8).float(),
    ],
)
@pytest.mark.parametrize("opset", [11, 18, 23])
def test_what_a_border_does_to_tensors_its_nodes_do(function: Callable[[Any], Tensor], opset: int) -> None:
    text = "same (float[N, ...] x) => (float[N, ...] y) { y = Identity(x) }".replace("[N, ...]", "[N, 2, 3, 4]")
    component = Component("same", lambda rows: (rows,), ("y",), lambda: model(text, opset))
    border = Border(("data",), ("made",), lambda rows: [rows], lambda answers: [function(answers["y"])], {})
    probe = Probe({"data": ROWS.numpy()}, {"made": function(ROWS).contiguous().numpy()})
    graph = join_graph(component, border, signature_of(probe)).SerializeToString()
    found = run_in_batches(open_session("same", graph), probe.inputs, 2)["made"]
    np.testing.assert_allclose(found, probe.outputs["made"], rtol=1e-6, atol=1e-6, strict=True)
