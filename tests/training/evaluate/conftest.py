"""Pairs whose every figure is known: a linear decoder with Gaussian noise, and what its algebra says."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pytest
from onnx import NodeProto, helper

from tests.support.make_tiny_package import floats, graph, scalar
from training.evaluate.evaluation import Budget, Evaluation
from training.evaluate.evidence import evaluate_pair
from training.evaluate.rows import Array32, Array64, EvaluationRows
from training.evaluate.served import PriorGraph, ServedPair
from vaeserve.package.contents import TensorSpec
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.manifest import STANDARD

FEATURES, LATENT, SPREAD = 6, 2, 0.5
DATA, LATENTS = floats("data", FEATURES), floats("latent", LATENT)
BUDGET = Budget(samples=50, draws=4, points=200)
WIDE = DataSpec(kind="table", shape=(FEATURES,), dtype="float32", minimum=-1e30, maximum=1e30)


class LinearGaussian(NamedTuple):
    """p(x) = N(0, W W' + SPREAD^2 I): z ~ N(0, I), x = z W + SPREAD noise."""

    weights: Array32  # [latent, features]

    @property
    def covariance(self) -> Array64:
        covariance: Array64 = self.weights.T.astype(float) @ self.weights + SPREAD**2 * np.eye(FEATURES)
        return covariance

    @property
    def posterior_covariance(self) -> Array64:
        w = self.weights.astype(float)
        return np.linalg.inv(np.eye(LATENT) + w @ w.T / SPREAD**2)

    def draw(self, rows: int, seed: int) -> Array32:
        random = np.random.default_rng(seed)
        noise = SPREAD * random.normal(size=(rows, FEATURES))
        return (random.normal(size=(rows, LATENT)) @ self.weights + noise).astype(np.float32)

    def log_density(self, rows: Array32) -> Array64:
        """Returns log p(x) [rows], nats."""
        solved = np.linalg.solve(self.covariance, rows.T.astype(float)).T
        determinant = np.linalg.slogdet(2 * np.pi * self.covariance)[1]
        density: Array64 = -0.5 * ((rows * solved).sum(1) + determinant)
        return density

    def served(
        self,
        shift: float = 0.0,
        widen: float = 1.0,
        priors: dict[str, PriorGraph] | None = None,
        model_prior: str = STANDARD,
    ) -> ServedPair:
        """Returns the pair; its posterior is the true one's mean + shift, with the true one's marginal variances."""
        covariance = self.posterior_covariance
        encoder = (self.weights.T.astype(float) @ covariance / SPREAD**2).astype(np.float32)
        log_variance = np.log(widen * np.diag(covariance)).astype(np.float32)
        return pair(
            linear_encoder(encoder, np.full(LATENT, shift, np.float32), log_variance),
            linear_decoder(self.weights),
            priors=priors,
            model_prior=model_prior,
        )


def pair(
    encoder: bytes,
    decoder: bytes,
    posterior: Literal["gaussian", "none"] = "gaussian",
    priors: dict[str, PriorGraph] | None = None,
    model_prior: str = STANDARD,
) -> ServedPair:
    """Returns a pair of tables [FEATURES] with Gaussian noise of SPREAD."""
    graphs = {"encoder": encoder, "decoder": decoder, "likelihood": gaussian_likelihood()}
    return ServedPair(graphs, WIDE, LATENT, posterior, priors=priors, model_prior=model_prior)


def codes(weights: Array32) -> ServedPair:
    """Returns the pair without a posterior: codes by the pseudoinverse, decoded by the weights [latent, features]."""
    encoder = np.linalg.pinv(weights.astype(float)).astype(np.float32)
    return pair(linear_encoder(encoder, np.zeros(LATENT, np.float32), None), linear_decoder(weights), "none")


def tearing_decoder(weights: Array32, jump: float) -> bytes:
    """Returns a decoder that is linear but for a jump of so much where the first latent value passes 0."""
    nodes = [
        helper.make_node("MatMul", ["latent", "W"], ["linear"]),
        helper.make_node("MatMul", ["latent", "first"], ["value"]),
        helper.make_node("Sign", ["value"], ["side"]),
        helper.make_node("Mul", ["side", "jump"], ["torn"]),
        helper.make_node("Add", ["linear", "torn"], ["data"]),
    ]
    first = np.zeros((LATENT, 1), np.float32)
    first[0] = 1
    return decoder(nodes, W=weights, first=first, jump=scalar(jump))


def linear_encoder(weights: Array32, bias: Array32, log_variance: Array32 | None) -> bytes:
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


def linear_decoder(weights: Array32) -> bytes:
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
    """Returns the prior N(shift, scale^2 I) as a graph, with its density."""
    nodes = [
        helper.make_node("Unsqueeze", ["temperature", "axis"], ["column"]),
        helper.make_node("Mul", ["noise", "column"], ["warm"]),
        helper.make_node("Mul", ["warm", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["latent"]),
    ]
    inputs: list[TensorSpec] = [floats("noise", latent), floats("temperature")]
    constants = {"axis": np.array([1]), "scale": scalar(scale), "shift": scalar(shift)}
    sampler = graph(nodes, inputs, [floats("latent", latent)], **constants)
    return PriorGraph(sampler, latent, affine_density(scale, shift, latent))


def affine_density(scale: float, shift: float, latent: int) -> bytes:
    nodes = [
        helper.make_node("Sub", ["latent", "shift"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["scaled"]),
        helper.make_node("ReduceSumSquare", ["scaled", "axis"], ["squares"], keepdims=0),
        helper.make_node("Mul", ["squares", "half"], ["negative"]),
        helper.make_node("Sub", ["negative", "normaliser"], ["log_prior"]),
    ]
    normaliser = latent * 0.5 * np.log(2 * np.pi * scale**2)
    constants = {"scale": scalar(scale), "shift": scalar(shift), "half": scalar(-0.5), "normaliser": scalar(normaliser)}
    return graph(nodes, [floats("latent", latent)], [floats("log_prior")], axis=np.array([1]), **constants)


@pytest.fixture(scope="session")
def model() -> LinearGaussian:
    return LinearGaussian(np.random.default_rng(0).normal(size=(LATENT, FEATURES)).astype(np.float32))


@pytest.fixture(scope="session")
def served(model: LinearGaussian) -> ServedPair:
    return model.served()


@pytest.fixture(scope="session")
def rows(model: LinearGaussian) -> EvaluationRows:
    """300 rows to train on and 200 held out, labelled by the side of a plane they lie on."""
    train, test = model.draw(300, 3), model.draw(200, 4)
    labels = [(data @ np.ones(FEATURES) > 0).astype(np.int64) for data in (train, test)]
    return EvaluationRows(train, test, labels[0], labels[1])


@pytest.fixture(scope="session")
def evaluation(served: ServedPair, rows: EvaluationRows) -> Evaluation:
    return evaluate_pair(served, rows, BUDGET)


@pytest.fixture(scope="session")
def codes_evaluation(model: LinearGaussian, rows: EvaluationRows) -> Evaluation:
    """That of a pair without a posterior, on rows without labels."""
    return evaluate_pair(codes(model.weights), rows._replace(train_labels=None, test_labels=None), BUDGET)


@pytest.fixture(scope="session")
def learned_evaluation(evaluation: Evaluation) -> Evaluation:
    """That of a pair whose own prior is `learned`, beside N(0, I)."""
    likelihoods = evaluation.likelihoods.model_copy(update={"prior": "learned", "kl_per_dimension_nats": None})
    learned = evaluation.priors[0].model_copy(update={"name": "learned", "hole_fraction": 0.0625})
    return evaluation.model_copy(update={"likelihoods": likelihoods, "priors": (*evaluation.priors, learned)})
