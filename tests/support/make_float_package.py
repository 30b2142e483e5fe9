"""Makes packages of float32 data in [-1, 1] for tests: images or tables, without torch and without a likelihood graph.

mean = W d, log_variance = clip(V d), expectation = data = tanh(U z). A latent can be made larger than float16 holds.
"""

from math import prod
from pathlib import Path

import numpy as np
from onnx import helper

from tests.support.make_tiny_package import Made, floats, graph, scalar, write
from vaeserve.package.contents import Likelihood
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.directory import ModelPackage

LATENT = 2


def make(
    directory: Path, shape: tuple[int, ...], *, scale: float = 1.0, posterior: str = "gaussian", **spec: object
) -> ModelPackage:
    """A package of rows [height, width, channels] or [features]; the first mean is scale times the first value.

    Args:
        directory: the package.
        shape: of a row.
        scale: as above.
        posterior: "gaussian", or "none": then the encoder gives the mean alone.
        spec: what the data spec says otherwise, for example a wider range.
    """
    random, size = np.random.default_rng(0), prod(shape)
    weights = {name: random.normal(0, 0.5, (size, LATENT)).astype(np.float32) for name in "WV"}
    weights["U"] = random.normal(0, 1, (LATENT, size)).astype(np.float32)
    weights["W"][:, 0] = 0
    weights["W"][0, 0] = scale
    data, latent = floats("data", *shape), floats("latent", LATENT)
    encoder_outputs = [floats("mean", LATENT), floats("log_variance", LATENT)][: 1 if posterior == "none" else 2]
    decoder_outputs = [floats("data", *shape), floats("expectation", *shape)]
    encoder = [
        helper.make_node("Reshape", ["data", "flat"], ["features"]),
        helper.make_node("MatMul", ["features", "W"], ["mean"]),
        helper.make_node("MatMul", ["features", "V"], ["unbounded"]),
        helper.make_node("Clip", ["unbounded", "low", "high"], ["log_variance"]),
    ]
    decoder = [
        helper.make_node("MatMul", ["latent", "U"], ["parameters"]),
        helper.make_node("Tanh", ["parameters"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["expectation"]),
        helper.make_node("Identity", ["expectation"], ["data"]),
    ]
    constants = {
        "flat": np.array([0, size]),
        "low": scalar(-8),
        "high": scalar(4),
        "W": weights["W"],
        "V": weights["V"],
    }
    made = {
        "encoder": Made(graph(encoder, [data], encoder_outputs, **constants), [data], encoder_outputs),
        "decoder": Made(
            graph(decoder, [latent], decoder_outputs, U=weights["U"], shape=np.array([0, *shape])),
            [latent],
            decoder_outputs,
        ),
    }
    kind = "image" if len(shape) == 3 else "table"
    described = {"kind": kind, "shape": shape, "dtype": "float32", "minimum": -1, "maximum": 1, **spec}
    probes = _probes(weights, shape)
    if posterior == "none":
        del probes["encoder.log_variance"]
    return write(
        directory,
        "floats",
        made,
        probes,
        data=DataSpec.model_validate(described),
        latent=LATENT,
        likelihood=Likelihood(family="gaussian"),
    )


def _probes(weights: dict[str, np.ndarray], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    data, latent = random.uniform(-1, 1, (8, prod(shape))), random.normal(0, 1, (8, LATENT))
    data, latent = data.astype(np.float32), latent.astype(np.float32)
    decoded = np.tanh(latent.astype(np.float64) @ weights["U"]).reshape(8, *shape)
    probes = {
        "encoder.data": data.reshape(8, *shape),
        "encoder.mean": data.astype(np.float64) @ weights["W"],
        "encoder.log_variance": np.clip(data.astype(np.float64) @ weights["V"], -8, 4),
        "decoder.latent": latent,
        "decoder.expectation": decoded,
        "decoder.data": decoded,
    }
    return {name: probe.astype(np.float32) for name, probe in probes.items()}
