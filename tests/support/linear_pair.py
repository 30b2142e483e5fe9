"""ONNX graphs written as text for tests, without torch: a linear pair between rows of six values and latents of two."""

from pathlib import Path

import numpy as np
import onnx
import onnx.parser

ROW, LATENT = 6, 2
_random = np.random.default_rng(3)
W = _random.normal(0, 0.4, (ROW, LATENT)).astype(np.float32)
V = _random.normal(0, 0.2, (ROW, LATENT)).astype(np.float32)
U = _random.normal(0, 0.5, (LATENT, ROW)).astype(np.float32)

ENCODER_NODES = "mu = MatMul(x, W) logvar = MatMul(x, V)"
DECODER_NODES = "y = MatMul(z, U)"

SPEC: dict[str, object] = {
    "name": "linear",
    "kind": "table",
    "shape": ROW,
    "minimum": -10.0,
    "maximum": 10.0,
    "latent_shape": LATENT,
    "encoder_outputs": ["mean", "log_variance"],
}


def model(text: str, opset: int = 17) -> onnx.ModelProto:
    """Returns the graph of ONNX's textual syntax; WEIGHTS in it stands for W, V and U."""
    weights = ", ".join(
        f"float[{', '.join(map(str, array.shape))}] {name} = {{{', '.join(map(repr, array.ravel().tolist()))}}}"
        for name, array in (("W", W), ("V", V), ("U", U))
    )
    text = text.replace("WEIGHTS", weights)
    head = "" if text.lstrip().startswith("<") else f'<ir_version: 8, opset_import: ["": {opset}]>'
    return onnx.parser.parse_model(head + text)


def encoder(
    nodes: str = ENCODER_NODES,
    inputs: str = "float[N, 6] x",
    outputs: str = "float[N, 2] mu, float[N, 2] logvar",
    opset: int = 17,
) -> onnx.ModelProto:
    """Returns x W and x V, or what the nodes say instead."""
    return model(f"encoder ({inputs}) => ({outputs}) <WEIGHTS> {{ {nodes} }}", opset)


def decoder(
    nodes: str = DECODER_NODES, inputs: str = "float[N, 2] z", outputs: str = "float[N, 6] y", opset: int = 17
) -> onnx.ModelProto:
    """Returns z U, or what the nodes say instead."""
    return model(f"decoder ({inputs}) => ({outputs}) <WEIGHTS> {{ {nodes} }}", opset)


def save(directory: Path, name: str, graph: onnx.ModelProto | bytes) -> Path:
    """Writes a graph as NAME.onnx and returns its path."""
    path = directory / f"{name}.onnx"
    path.write_bytes(graph if isinstance(graph, bytes) else graph.SerializeToString())
    return path
