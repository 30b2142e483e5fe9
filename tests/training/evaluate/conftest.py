"""Pairs whose every figure is known: a linear decoder with Gaussian noise, and what its algebra says."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from onnx import NodeProto, helper

from tests.make_tiny_package import floats, graph, scalar
from training.evaluate.served import Floats, PriorGraph, Served
from vae.manifest import DataSpec, TensorSpec

FEATURES, LATENT, SPREAD = 6, 2, 0.5
DATA, LATENTS = floats("data", FEATURES), floats("latent", LATENT)
WIDE = DataSpec(kind="table", shape=(FEATURES,), dtype="float32", minimum=-1e30, maximum=1e30)


class LinearGaussian(NamedTuple):
    """p(x) = N(0, W W' + SPREAD^2 I): z ~ N(0, I), x = z W + SPREAD noise."""

    weights: Floats  # [latent, features]

    @property
    def covariance(self) -> np.ndarray:
        return self.weights.T.astype(float) @ self.weights + SPREAD**2 * np.eye(FEATURES)

    def draw(self, rows: int, seed: int) -> Floats:
        random = np.random.default_rng(seed)
        noise = SPREAD * random.normal(size=(rows, FEATURES))
        return (random.normal(size=(rows, LATENT)) @ self.weights + noise).astype(np.float32)

    def log_density(self, rows: Floats) -> np.ndarray:
        """Returns log p(x) [rows], nats."""
        solved = np.linalg.solve(self.covariance, rows.T.astype(float)).T
        determinant = np.linalg.slogdet(2 * np.pi * self.covariance)[1]
        return -0.5 * ((rows * solved).sum(1) + determinant)

    def served(self, shift: float = 0.0, widen: float = 1.0, priors: dict[str, PriorGraph] | None = None) -> Served:
        """Returns the pair; its posterior is the true one's mean + shift, with the true one's marginal variances."""
        w = self.weights.astype(float)
        covariance = np.linalg.inv(np.eye(LATENT) + w @ w.T / SPREAD**2)
        encoder = (w.T @ covariance / SPREAD**2).astype(np.float32)
        log_variance = np.log(widen * np.diag(covariance)).astype(np.float32)
        graphs = {
            "encoder": linear_encoder(encoder, np.full(LATENT, shift, np.float32), log_variance),
            "decoder": linear_decoder(self.weights),
            "likelihood": gaussian_likelihood(),
        }
        return Served(graphs, WIDE, LATENT, "gaussian", priors=priors)


def linear_encoder(weights: Floats, bias: Floats, log_variance: Floats | None) -> bytes:
    nodes = [
        helper.make_node("MatMul", ["data", "W"], ["centred"]),
        helper.make_node("Add", ["centred", "b"], ["mean"]),
    ]
    outputs, constants = [floats("mean", len(bias))], {"W": weights, "b": bias}
    if log_variance is not None:
        nodes += [
            helper.make_node("Mul", ["mean", "zero"], ["zeros"]),
            helper.make_node("Add", ["zeros", "v"], ["log_variance"]),
        ]
        outputs.append(floats("log_variance", len(bias)))
        constants |= {"zero": scalar(0), "v": log_variance}
    return graph(nodes, [DATA], outputs, **constants)


def linear_decoder(weights: Floats) -> bytes:
    nodes = [helper.make_node("MatMul", ["latent", "W"], ["data"])]
    return decoder(nodes, W=weights)


def decoder(nodes: Sequence[NodeProto], **constants: np.ndarray) -> bytes:
    """Returns a decoder whose nodes lead from `latent` to `data`, which is its expectation and parameters too."""
    copies = [helper.make_node("Identity", ["data"], [name]) for name in ("expectation", "parameters")]
    outputs = [DATA, floats("expectation", FEATURES), floats("parameters", FEATURES)]
    return graph([*nodes, *copies], [LATENTS], outputs, **constants)


def gaussian_likelihood() -> bytes:
    nodes = [
        helper.make_node("Sub", ["data", "parameters"], ["error"]),
        helper.make_node("Div", ["error", "spread"], ["scaled"]),
        helper.make_node("ReduceSumSquare", ["scaled", "axis"], ["squares"], keepdims=0),
        helper.make_node("Mul", ["squares", "half"], ["negative"]),
        helper.make_node("Sub", ["negative", "normaliser"], ["log_likelihood"]),
    ]
    normaliser = FEATURES * 0.5 * np.log(2 * np.pi * SPREAD**2)
    constants = {"spread": scalar(SPREAD), "half": scalar(-0.5), "normaliser": scalar(normaliser)}
    inputs = [DATA, floats("parameters", FEATURES)]
    return graph(nodes, inputs, [floats("log_likelihood")], axis=np.array([1]), **constants)


def affine_prior(scale: float, shift: float, latent: int = LATENT) -> PriorGraph:
    """Returns the prior N(shift, scale^2 I) as a graph."""
    nodes = [
        helper.make_node("Unsqueeze", ["temperature", "axis"], ["column"]),
        helper.make_node("Mul", ["noise", "column"], ["warm"]),
        helper.make_node("Mul", ["warm", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["latent"]),
    ]
    inputs: list[TensorSpec] = [floats("noise", latent), floats("temperature")]
    constants = {"axis": np.array([1]), "scale": scalar(scale), "shift": scalar(shift)}
    return PriorGraph(graph(nodes, inputs, [floats("latent", latent)], **constants), latent)


@pytest.fixture(scope="session")
def model() -> LinearGaussian:
    return LinearGaussian(np.random.default_rng(0).normal(size=(LATENT, FEATURES)).astype(np.float32))


@pytest.fixture(scope="session")
def served(model: LinearGaussian) -> Served:
    return model.served()
