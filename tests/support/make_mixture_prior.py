"""Gives the tiny package a prior of two Gaussians, with onnx.helper alone: no torch, no fit.

A first normal above FIRST_ENDS, as three in four are, picks the second. Then latent = center + temperature scale noise.
"""

import io

import numpy as np
from onnx import TensorProto, helper

from tests.support.make_tiny_package import LATENT, LATENTS, Made, floats, graph, scalar
from vaeserve.package.contents import Graph, Prior
from vaeserve.package.directory import ModelPackage, sha256_of
from vaeserve.package.manifest import Manifest
from vaeserve.package.row_spec import Array
from vaeserve.rows.quantiles import inverse_normal_of_one

NOISE = LATENT + 1
FIRST_ENDS = inverse_normal_of_one(0.25)
CENTERS = np.array([[4, 0, -1], [-3, 2, 1]], np.float32)
SCALES = np.array([[0.5, 0.25, 1], [1, 0.125, 0.25]], np.float32)  # powers of 2: products round nothing


def draw(noise: Array, temperature: Array) -> Array:
    """Returns the latents that the graph answers, bit for bit."""
    picked = (noise[:, 0] > np.float32(FIRST_ENDS)).astype(int)
    latent: Array = CENTERS[picked] + temperature[:, None] * (SCALES[picked] * noise[:, 1:])
    return latent


def prior_graph() -> Made:
    """Returns the graph: noise, temperature -> latent."""
    nodes = [
        helper.make_node("Gather", ["noise", "zero"], ["first"], axis=1),
        helper.make_node("Gather", ["noise", "others"], ["rest"], axis=1),
        helper.make_node("Greater", ["first", "ends"], ["above"]),
        helper.make_node("Cast", ["above"], ["picked"], to=TensorProto.INT64),
        helper.make_node("Gather", ["centers", "picked"], ["center"], axis=0),
        helper.make_node("Gather", ["scales", "picked"], ["scale"], axis=0),
        helper.make_node("Mul", ["scale", "rest"], ["spread"]),
        helper.make_node("Unsqueeze", ["temperature", "one"], ["factor"]),
        helper.make_node("Mul", ["factor", "spread"], ["heated"]),
        helper.make_node("Add", ["center", "heated"], ["latent"]),
    ]
    inputs, outputs = [floats("noise", NOISE), floats("temperature")], [LATENTS]
    constants = {"zero": np.array(0), "others": np.arange(1, NOISE), "one": np.array([1]), "ends": scalar(FIRST_ENDS)}
    return Made(graph(nodes, inputs, outputs, centers=CENTERS, scales=SCALES, **constants), inputs, outputs)


def add_prior(package: ModelPackage, name: str) -> tuple[Manifest, dict[str, bytes]]:
    """Returns the manifest and the files of a package that has the prior too, and draws from it by default."""
    file, (content, inputs, outputs) = f"prior-{name}.onnx", prior_graph()
    described = Graph(file=file, sha256=sha256_of(content), opset=18, inputs=tuple(inputs), outputs=tuple(outputs))
    random = np.random.default_rng(2)
    noise, temperature = (random.normal(size=shape).astype(np.float32) for shape in ((32, NOISE), 32))
    probes = {"noise": noise, "temperature": temperature, "latent": draw(noise, temperature)}
    archive = io.BytesIO()
    named = {f"prior.{name}.{tensor}": array for tensor, array in probes.items()}
    np.savez(archive, **package.read_probes(), **named)  # type: ignore[arg-type]  # as in make_tiny_package
    old = package.manifest
    manifest = old.model_copy(
        update={
            "priors": (*old.priors, Prior(name=name, noise_size=NOISE, graph=described)),
            "default_prior": name,
            "probes": old.probes.model_copy(update={"sha256": sha256_of(archive.getvalue())}),
        }
    )
    kept = {one.file: package.read(one) for one in old.files}
    return manifest, {**kept, file: content, old.probes.file: archive.getvalue()}
