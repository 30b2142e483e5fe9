"""Makes the tiny package in half precision, as it answers on a device with float16 kernels.

Where a row lies far out, a sum inside its graphs overflows in float16 and makes its answer NaN. Else that sum is
multiplied by 0 and added, so every answer is the tiny package's to the bit.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.support.make_tiny_package import LATENT, PIXELS
from tests.support.packages import TINY
from training.export.half import halve, with_rounding
from vaeserve.package.contents import Graph, Graphs, Tolerance, fingerprint_of
from vaeserve.package.directory import ModelPackage, sha256_of

HALF_TOLERANCE = Tolerance(absolute=0.02, relative=0.01)


def make(directory: Path) -> ModelPackage:
    """Writes the package: pictures whose halves differ by more than 6.5 overflow, and latents larger than 65."""
    tiny = ModelPackage.open(TINY)
    graphs, files = tiny.manifest.graphs, {file.file: tiny.read(file) for file in tiny.manifest.files}
    halves = np.repeat([10_000.0, -10_000.0], PIXELS // 2)
    contents = {
        "encoder": _halved(files["encoder.onnx"], "features", halves),
        "decoder": _halved(files["decoder.onnx"], "latent", np.full(LATENT, 1_000.0)),
    }
    full = {name: graphs.by_name[name].model_copy(update={"file": f"{name}-float32.onnx"}) for name in contents}
    files |= {graph.file: files[f"{name}.onnx"] for name, graph in full.items()}
    files |= {f"{name}.onnx": content for name, content in contents.items()}
    halved = {name: _listed(graphs.by_name[name], content) for name, content in contents.items()}
    probes = tiny.manifest.probes.model_copy(update={"tolerances": {"cpu": HALF_TOLERANCE, "cuda": HALF_TOLERANCE}})
    changes = {
        "fingerprint": fingerprint_of(halved["encoder"].sha256, halved["decoder"].sha256),
        "graphs": Graphs(**halved, likelihood=graphs.likelihood),
        "probes": probes,
        "precision": "fp16",
        "float32": Graphs(**full),
    }
    return ModelPackage.write(directory, tiny.manifest.model_copy(update=changes), files)


def overflowing(content: bytes, tensor: str, weights: np.ndarray) -> onnx.ModelProto:
    """Returns a graph in float32 in which a weighted sum of a tensor's values is added to them, times 0."""
    model = onnx.load_model_from_string(content)
    users = [node for node in model.graph.node if tensor in node.input]
    for node in users:
        node.input[list(node.input).index(tensor)] = f"same_{tensor}"
    place = list(model.graph.node).index(users[0])
    added = [
        helper.make_node("MatMul", [tensor, "large"], ["sum"]),
        helper.make_node("MatMul", ["sum", "zero"], ["nothing"]),
        helper.make_node("Add", [tensor, "nothing"], [f"same_{tensor}"]),
    ]
    for offset, node in enumerate(added):
        model.graph.node.insert(place + offset, node)
    constants = {"large": weights.astype(np.float32)[:, None], "zero": np.zeros((1, len(weights)), np.float32)}
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
    return model


def _halved(content: bytes, tensor: str, weights: np.ndarray) -> bytes:
    return with_rounding(halve(overflowing(content, tensor, weights))).SerializeToString(deterministic=True)


def _listed(graph: Graph, content: bytes) -> Graph:
    return graph.model_copy(update={"sha256": sha256_of(content)})
