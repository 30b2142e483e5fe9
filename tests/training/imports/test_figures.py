import numpy as np
import pytest
from onnx import TensorProto, helper

from training.export.graphs import ExportedGraph
from training.export.probes import Probe
from training.imports.figures import parity_figures, psnr
from vaeserve.errors import TrainingError


def test_decibels() -> None:
    grey = np.full((1, 4, 4, 3), 100, np.uint8)
    assert psnr(grey + np.float32(25.5), grey) == pytest.approx(20)
    assert psnr(grey, grey) == 150


def test_latents_of_another_direction_are_refused() -> None:
    data, mean = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in ("data", "mean"))
    graph = helper.make_graph([helper.make_node("Identity", ["data"], ["mean"])], "g", [data], [mean])
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
    rows = np.array([[1, 0], [1, 0]], np.float32)
    probe = Probe({"data": rows}, {"mean": rows + np.array([[0, 0], [0, 0.01]], np.float32)})
    with pytest.raises(TrainingError, match=r"^encoder: the lowest cosine .* is 0\.999950, must be 0\.99999 or more"):
        parity_figures({"encoder": ExportedGraph(content, 18, (), ())}, {"encoder": probe})
