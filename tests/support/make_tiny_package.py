"""Makes tests/data/tiny, the package that the service's tests run on, with onnx.helper alone: no torch, no training.

    PYTHONPATH=. python tests/support/make_tiny_package.py

Images [4, 4, 1] of counts 0..16 and three latents: mean = W d, log_variance = clip(V d), expectation = 16 sigmoid(U z).
The numbers are arbitrary but fixed. The probes are computed by NumPy, in float64, so they check ONNX Runtime too.
"""

import io
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from vaeserve.package.contents import Graph, Graphs, Likelihood, Prior, Probes, TensorSpec, Tolerance, fingerprint_of
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.directory import ModelPackage, sha256_of
from vaeserve.package.manifest import Manifest
from vaeserve.package.sizes import Axes

TINY = Path(__file__).parents[1] / "data" / "tiny"
SHAPE, LATENT, TRIALS = (4, 4, 1), 3, 16
PIXELS = 16
Arrays = dict[str, np.ndarray]


def floats(name: str, *shape: int) -> TensorSpec:
    """Describes a float32 tensor."""
    return TensorSpec(name=name, dtype="float32", shape=("batch", *shape))


DATA = TensorSpec(name="data", dtype="uint8", shape=("batch", *SHAPE))
LATENTS = floats("latent", LATENT)
PARAMETERS = floats("parameters", PIXELS)
ENCODER_OUTPUTS = [floats("mean", LATENT), floats("log_variance", LATENT)]
DECODER_OUTPUTS = [DATA, floats("expectation", *SHAPE), PARAMETERS]
LIKELIHOOD_OUTPUTS = [floats("log_likelihood")]


def _weights() -> Arrays:
    random = np.random.default_rng(0)
    scales = {"W": (PIXELS, LATENT, 0.6), "V": (PIXELS, LATENT, 0.4), "U": (LATENT, PIXELS, 1.2)}
    return {name: random.normal(0, s, (n, m)).astype(np.float32) for name, (n, m, s) in scales.items()}


def graph(
    nodes: list[onnx.NodeProto], inputs: list[TensorSpec], outputs: list[TensorSpec], **constants: np.ndarray
) -> bytes:
    """Returns a checked ONNX graph."""
    kinds = {"uint8": TensorProto.UINT8, "uint16": TensorProto.UINT16, "float32": TensorProto.FLOAT}
    sides = [
        [helper.make_tensor_value_info(t.name, kinds[t.dtype], t.shape) for t in side] for side in (inputs, outputs)
    ]
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "tiny", sides[0], sides[1], initializers)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10, producer_name="vaeserve"
    )
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _encoder(weights: Arrays) -> bytes:
    nodes = [
        helper.make_node("Cast", ["data"], ["counts"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["counts", "trials"], ["scaled"]),
        helper.make_node("Reshape", ["scaled", "flat"], ["features"]),
        helper.make_node("MatMul", ["features", "W"], ["mean"]),
        helper.make_node("MatMul", ["features", "V"], ["unbounded"]),
        helper.make_node("Clip", ["unbounded", "low", "high"], ["log_variance"]),
    ]
    constants = {"trials": scalar(TRIALS), "flat": np.array([0, PIXELS]), "low": scalar(-8), "high": scalar(4)}
    return graph(nodes, [DATA], ENCODER_OUTPUTS, W=weights["W"], V=weights["V"], **constants)


def _decoder(weights: Arrays) -> bytes:
    nodes = [
        helper.make_node("MatMul", ["latent", "U"], ["parameters"]),
        helper.make_node("Sigmoid", ["parameters"], ["share"]),
        helper.make_node("Mul", ["share", "trials"], ["flat"]),
        helper.make_node("Reshape", ["flat", "image"], ["expectation"]),
        helper.make_node("Round", ["expectation"], ["rounded"]),
        helper.make_node("Clip", ["rounded", "low", "trials"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], ["data"], to=TensorProto.UINT8),
    ]
    constants = {"trials": scalar(TRIALS), "image": np.array([0, *SHAPE]), "low": scalar(0)}
    return graph(nodes, [LATENTS], DECODER_OUTPUTS, U=weights["U"], **constants)


def _likelihood() -> bytes:
    nodes = [
        helper.make_node("Reshape", ["data", "flat"], ["pixels"]),
        helper.make_node("Cast", ["pixels"], ["index"], to=TensorProto.INT32),
        helper.make_node("Gather", ["log_choose", "index"], ["constant"]),
        helper.make_node("Cast", ["pixels"], ["counts"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["counts", "parameters"], ["linear"]),
        helper.make_node("Softplus", ["parameters"], ["softplus"]),
        helper.make_node("Mul", ["softplus", "trials"], ["normaliser"]),
        helper.make_node("Add", ["constant", "linear"], ["numerator"]),
        helper.make_node("Sub", ["numerator", "normaliser"], ["nats"]),
        helper.make_node("ReduceSum", ["nats", "axis"], ["log_likelihood"], keepdims=0),
    ]
    constants = {"flat": np.array([0, PIXELS]), "axis": np.array([1]), "trials": scalar(TRIALS)}
    return graph(nodes, [DATA, PARAMETERS], LIKELIHOOD_OUTPUTS, log_choose=_log_choose(), **constants)


def scalar(value: float) -> np.ndarray:
    """Returns a constant for a graph."""
    return np.array(value, np.float32)


def _log_choose() -> np.ndarray:
    return np.log([math.comb(TRIALS, count) for count in range(TRIALS + 1)]).astype(np.float32)


def _probes(weights: Arrays) -> Arrays:
    random = np.random.default_rng(1)
    data = random.integers(0, TRIALS + 1, (32, *SHAPE), np.uint8)
    data[0], data[1] = 0, TRIALS
    latent = random.normal(0, 1, (32, LATENT)).astype(np.float32)
    features = data.reshape(32, PIXELS).astype(np.float64)
    parameters = latent.astype(np.float64) @ weights["U"]
    expectation = TRIALS / (1 + np.exp(-parameters)).reshape(32, *SHAPE)
    nats = _log_choose()[data.reshape(32, PIXELS)] + features * parameters - TRIALS * np.logaddexp(0, parameters)
    probes = {
        "encoder.mean": features / TRIALS @ weights["W"],
        "encoder.log_variance": np.clip(features / TRIALS @ weights["V"], -8, 4),
        "decoder.latent": latent,
        "decoder.expectation": expectation,
        "decoder.parameters": parameters,
        "likelihood.parameters": parameters,
        "likelihood.log_likelihood": nats.sum(1),
    }
    rounded = np.clip(np.round(expectation), 0, TRIALS).astype(np.uint8)
    counts = {"encoder.data": data, "decoder.data": rounded, "likelihood.data": data}
    return {**{name: array.astype(np.float32) for name, array in probes.items()}, **counts}


def make(directory: Path, **changes: object) -> ModelPackage:
    """Writes the package. `changes` replace fields of its manifest, so that a test can make a wrong one."""
    weights = _weights()
    made = {
        "encoder": Made(_encoder(weights), [DATA], ENCODER_OUTPUTS),
        "decoder": Made(_decoder(weights), [LATENTS], DECODER_OUTPUTS),
        "likelihood": Made(_likelihood(), [DATA, PARAMETERS], LIKELIHOOD_OUTPUTS),
    }
    data = DataSpec(kind="image", shape=SHAPE, dtype="uint8", minimum=0, maximum=TRIALS)
    likelihood = Likelihood(family="binomial", constants={"trials": TRIALS})
    return write(directory, "tiny", made, _probes(weights), data=data, latent=LATENT, likelihood=likelihood, **changes)


class Made(NamedTuple):
    """A graph, and what it takes and gives."""

    content: bytes
    inputs: list[TensorSpec]
    outputs: list[TensorSpec]


def write(
    directory: Path,
    name: str,
    made: dict[str, Made],
    probes: Arrays,
    *,
    data: DataSpec,
    latent: int | Axes,
    likelihood: Likelihood,
    **changes: object,
) -> ModelPackage:
    """Writes a package of these graphs. Its prior is N(0, I)."""
    buffer = io.BytesIO()
    np.savez(buffer, **probes)  # type: ignore[arg-type]  # numpy's stub takes **kwds for allow_pickle
    files = {**{f"{name}.onnx": part.content for name, part in made.items()}, "probes.npz": buffer.getvalue()}
    sums = {name: sha256_of(content) for name, content in files.items()}
    graphs = {
        name: Graph(file=f"{name}.onnx", sha256=sums[f"{name}.onnx"], opset=18, inputs=tuple(i), outputs=tuple(o))
        for name, (_, i, o) in made.items()
    }
    manifest = Manifest(
        name=name,
        version=1,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        fingerprint=fingerprint_of(sums["encoder.onnx"], sums["decoder.onnx"]),
        data=data,
        latent_shape=(latent,) if isinstance(latent, int) else latent,
        posterior="gaussian" if len(made["encoder"].outputs) > 1 else "none",
        likelihood=likelihood,
        priors=(Prior(name="standard", noise_size=latent if isinstance(latent, int) else None),),
        graphs=Graphs(**graphs),
        probes=Probes(
            file="probes.npz",
            sha256=sums["probes.npz"],
            tolerances={
                "cpu": Tolerance(absolute=1e-5, relative=1e-4),
                "cuda": Tolerance(absolute=1e-4, relative=1e-3),
            },
        ),
    )
    return ModelPackage.write(directory, manifest.model_copy(update=changes), files, overwrite=True)


if __name__ == "__main__":
    print(make(TINY).directory)
