"""Makes a package whose pictures have any size of a range, with onnx.helper alone: no torch, no training.

Pictures [height, width, 3] of sides 16 to 256, multiples of 8, and latents [4, height/8, width/8]. Each place of the
latent sees its own 8 x 8 pixels and the mean of the whole picture, so that pictures cannot be run in pieces:
mean = W d + m, log_variance = clip(V d), expectation = 127.5 + 127.5 U (z + m z). The numbers are arbitrary but fixed.
The probes are computed by NumPy, in float64.
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from tests.support.make_tiny_package import Arrays, Made, graph, scalar, write
from vaeserve.package.contents import Likelihood, TensorSpec
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.directory import ModelPackage
from vaeserve.package.sizes import PictureSize, PictureSizes

FACTOR, CHANNELS = 8, 4
SIDES = [FACTOR, FACTOR]
SIZES = PictureSizes(multiple=FACTOR, minimum=16, maximum=256, default=PictureSize(32, 48))
PROBE_SIZES = (SIZES.smallest, PictureSize(24, 32), PictureSize(48, 16))
DATA = TensorSpec(name="data", dtype="uint8", shape=("batch", "height", "width", 3))
EXPECTATION = DATA.model_copy(update={"name": "expectation", "dtype": "float32"})
LATENT, MEAN, LOG_VARIANCE = (
    TensorSpec(name=name, dtype="float32", shape=("batch", CHANNELS, "height/8", "width/8"))
    for name in ("latent", "mean", "log_variance")
)


def _weights() -> Arrays:
    random = np.random.default_rng(0)
    return {
        "W": random.normal(0, 0.12, (2 * CHANNELS, 3, FACTOR, FACTOR)).astype(np.float32),
        "U": random.normal(0, 0.3, (CHANNELS, 3, FACTOR, FACTOR)).astype(np.float32),
    }


def _encoder(weights: Arrays) -> bytes:
    nodes = [
        helper.make_node("Cast", ["data"], ["shades"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["shades", "half"], ["bright"]),
        helper.make_node("Sub", ["bright", "one"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["pixels"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["pixels", "W"], ["places"], kernel_shape=SIDES, strides=SIDES),
        helper.make_node("Split", ["places"], ["own", "spread"], axis=1, num_outputs=2),
        helper.make_node("ReduceMean", ["pixels", "all"], ["whole"], keepdims=1),
        helper.make_node("Add", ["own", "whole"], ["mean"]),
        helper.make_node("Clip", ["spread", "low", "high"], ["log_variance"]),
    ]
    constants = {
        "half": scalar(127.5),
        "one": scalar(1),
        "all": np.array([1, 2, 3]),
        "low": scalar(-8),
        "high": scalar(4),
    }
    return graph(nodes, [DATA], [MEAN, LOG_VARIANCE], W=weights["W"], **constants)


def _decoder(weights: Arrays) -> bytes:
    nodes = [
        helper.make_node("ReduceMean", ["latent", "all"], ["whole"], keepdims=1),
        helper.make_node("Mul", ["latent", "whole"], ["moved"]),
        helper.make_node("Add", ["latent", "moved"], ["seen"]),
        helper.make_node("ConvTranspose", ["seen", "U"], ["pixels"], kernel_shape=SIDES, strides=SIDES),
        helper.make_node("Transpose", ["pixels"], ["picture"], perm=[0, 2, 3, 1]),
        helper.make_node("Mul", ["picture", "half"], ["bright"]),
        helper.make_node("Add", ["bright", "half"], ["expectation"]),
        helper.make_node("Round", ["expectation"], ["rounded"]),
        helper.make_node("Clip", ["rounded", "low", "high"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], ["data"], to=TensorProto.UINT8),
    ]
    constants = {"half": scalar(127.5), "all": np.array([1, 2, 3]), "low": scalar(0), "high": scalar(255)}
    return graph(nodes, [LATENT], [DATA, EXPECTATION], U=weights["U"], **constants)


def encode(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and log-variance of pictures [rows, height, width, 3], in float64."""
    pixels = (data.astype(np.float64) / 127.5 - 1).transpose(0, 3, 1, 2)
    rows, _, height, width = pixels.shape
    cut = pixels.reshape(rows, 3, height // FACTOR, FACTOR, width // FACTOR, FACTOR)
    places = np.einsum("rchywx,ocyx->rohw", cut, _weights()["W"].astype(np.float64))
    mean = places[:, :CHANNELS] + pixels.mean((1, 2, 3), keepdims=True)
    return mean, np.clip(places[:, CHANNELS:], -8, 4)


def decode(latent: np.ndarray) -> np.ndarray:
    """Returns the expectation of latents [rows, 4, height/8, width/8], in float64."""
    seen = latent.astype(np.float64)
    seen = seen + seen * seen.mean((1, 2, 3), keepdims=True)
    rows, _, high, wide = seen.shape
    pixels = np.einsum("rohw,ocyx->rhywxc", seen, _weights()["U"].astype(np.float64))
    expectation: np.ndarray = pixels.reshape(rows, high * FACTOR, wide * FACTOR, 3) * 127.5 + 127.5
    return expectation


def pictures(rows: int, size: PictureSize, seed: int = 0) -> np.ndarray:
    """Returns random pictures, uint8 [rows, height, width, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (rows, *size, 3), np.uint8)


def _probes(size: PictureSize, ending: str) -> Arrays:
    data = pictures(8, size)
    data[0], data[1] = 0, 255
    latent = np.random.default_rng(1).normal(0, 1, (8, CHANNELS, size.height // FACTOR, size.width // FACTOR))
    latent = latent.astype(np.float32)
    mean, log_variance = encode(data)
    expectation = decode(latent)
    floats = {"encoder.mean": mean, "encoder.log_variance": log_variance, "decoder.expectation": expectation}
    probes: Arrays = {name: array.astype(np.float32) for name, array in floats.items()}
    probes |= {"encoder.data": data, "decoder.latent": latent}
    probes["decoder.data"] = np.clip(np.round(expectation), 0, 255).astype(np.uint8)
    return {name.replace(".", f"{ending}.", 1): array for name, array in probes.items()}


def make(directory: Path, **changes: object) -> ModelPackage:
    """Writes the package. `changes` replace fields of its manifest."""
    weights = _weights()
    made = {
        "encoder": Made(_encoder(weights), [DATA], [MEAN, LOG_VARIANCE]),
        "decoder": Made(_decoder(weights), [LATENT], [DATA, EXPECTATION]),
    }
    first, *others = PROBE_SIZES
    probes = _probes(first, "")
    for size in others:
        probes |= _probes(size, f"@{size.height}x{size.width}")
    data = DataSpec(kind="image", shape=("height", "width", 3), sizes=SIZES, dtype="uint8", minimum=0, maximum=255)
    return write(
        directory,
        "free",
        made,
        probes,
        data=data,
        latent=LATENT.row_axes,
        likelihood=Likelihood(family="unknown"),
        **changes,
    )
