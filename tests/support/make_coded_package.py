"""Gives the tiny package an encoder that answers codes, with onnx.helper alone: no torch, no training.

unrounded = H + H tanh(W d), with H = levels // 2 of each value; codes = unrounded, rounded; mean = (codes - H) / H.
"""

import io
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from tests.support.make_tiny_package import DATA, LATENT, PIXELS, TRIALS, Arrays, floats, graph, scalar
from tests.support.packages import TINY
from vaeserve.package.contents import Codes, Graph, TensorSpec, fingerprint_of
from vaeserve.package.directory import ModelPackage, sha256_of

LEVELS = (5, 9, 3)
_OUTPUTS = (
    floats("mean", LATENT),
    TensorSpec(name="codes", dtype="uint16", shape=("batch", LATENT)),
    floats("unrounded", LATENT),
)
_HALF = np.array([count // 2 for count in LEVELS], np.float32)
_WEIGHTS = np.random.default_rng(3).normal(0, 0.6, (PIXELS, LATENT)).astype(np.float32)


def encode(data: np.ndarray) -> Arrays:
    """Returns what the encoder answers to rows, by name, computed in float64."""
    features = data.reshape(len(data), PIXELS).astype(np.float64) / TRIALS
    unrounded = _HALF + _HALF * np.tanh(features @ _WEIGHTS.astype(np.float64))
    codes = np.round(unrounded)
    mean = ((codes - _HALF) / _HALF).astype(np.float32)
    return {"mean": mean, "codes": codes.astype(np.uint16), "unrounded": unrounded.astype(np.float32)}


def _encoder() -> bytes:
    nodes = [
        helper.make_node("Cast", ["data"], ["counts"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["counts", "trials"], ["scaled"]),
        helper.make_node("Reshape", ["scaled", "flat"], ["features"]),
        helper.make_node("MatMul", ["features", "W"], ["answers"]),
        helper.make_node("Tanh", ["answers"], ["bounded"]),
        helper.make_node("Mul", ["bounded", "half"], ["spread"]),
        helper.make_node("Add", ["spread", "half"], ["unrounded"]),
        helper.make_node("Round", ["unrounded"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], ["codes"], to=TensorProto.UINT16),
        helper.make_node("Sub", ["rounded", "half"], ["centered"]),
        helper.make_node("Div", ["centered", "half"], ["mean"]),
    ]
    constants = {"trials": scalar(TRIALS), "flat": np.array([0, PIXELS]), "half": _HALF, "W": _WEIGHTS}
    return graph(nodes, [DATA], list(_OUTPUTS), **constants)


def make(directory: Path) -> ModelPackage:
    """Writes the package, named `coded`."""
    tiny = ModelPackage.open(TINY)
    old, content = tiny.manifest, _encoder()
    probes = {name: array for name, array in tiny.read_probes().items() if not name.startswith("encoder.")}
    data = tiny.read_probes()["encoder.data"]
    probes |= {f"encoder.{name}": array for name, array in {"data": data, **encode(data)}.items()}
    archive = io.BytesIO()
    np.savez(archive, **probes)  # type: ignore[arg-type]  # as in make_tiny_package
    sha256 = sha256_of(content)
    encoder = Graph(file="encoder.onnx", sha256=sha256, opset=18, inputs=(DATA,), outputs=_OUTPUTS)
    changes = {
        "name": "coded",
        "posterior": "none",
        "codes": Codes(levels=LEVELS),
        "graphs": old.graphs.model_copy(update={"encoder": encoder}),
        "fingerprint": fingerprint_of(sha256, old.graphs.decoder.sha256),
        "probes": old.probes.model_copy(update={"sha256": sha256_of(archive.getvalue())}),
    }
    files = {file.file: tiny.read(file) for file in old.files}
    files |= {"encoder.onnx": content, old.probes.file: archive.getvalue()}
    return ModelPackage.write(directory, old.model_copy(update=changes), files, overwrite=True)
