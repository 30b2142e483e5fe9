"""The tiny package with an encoder that goes round a loop 2^40 times: a sound graph whose load never ends."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.make_tiny_package import TINY
from vaeserve.package.contents import fingerprint_of
from vaeserve.package.directory import ModelPackage, sha256_of

TRIPS = 2**40


def make_endless(directory: Path, *, name: str = "endless") -> Path:
    """Writes the package, and returns where it is."""
    tiny = ModelPackage.open(TINY)
    files = {file.file: tiny.read(file) for file in tiny.manifest.files}
    files["encoder.onnx"] = _looping(files["encoder.onnx"])
    checksum = sha256_of(files["encoder.onnx"])
    graphs = tiny.manifest.graphs
    graphs = graphs.model_copy(update={"encoder": graphs.encoder.model_copy(update={"sha256": checksum})})
    fingerprint = fingerprint_of(checksum, graphs.decoder.sha256)
    manifest = tiny.manifest.model_copy(update={"name": name, "graphs": graphs, "fingerprint": fingerprint})
    return ModelPackage.write(directory, manifest, files).directory


def _looping(encoder: bytes) -> bytes:
    """Returns the encoder with a loop behind its mean, which adds 0 to it."""
    model = onnx.load_model_from_string(encoder)
    next(node for node in model.graph.node if node.output[0] == "mean").output[0] = "once"
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["goes"]), helper.make_node("Add", ["sum", "zero"], ["summed"])],
        "body",
        [
            helper.make_tensor_value_info("trip", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["batch", 3]),
        ],
        [
            helper.make_tensor_value_info("goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("summed", TensorProto.FLOAT, ["batch", 3]),
        ],
    )
    model.graph.node.append(helper.make_node("Loop", ["trips", "yes", "once"], ["mean"], body=body))
    constants = {"trips": np.array(TRIPS, np.int64), "yes": np.array(True), "zero": np.array(0, np.float32)}
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
    return model.SerializeToString()
