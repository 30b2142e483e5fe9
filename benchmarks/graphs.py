"""What ONNX Runtime's optimiser leaves of the graphs that training exports, and how long other forms of them take.

    python -m benchmarks.graphs [--models grid,mlp] [--rounds 9] [--only-nodes]

The networks have random weights. A session has one thread and the options of the service. Each round runs both forms
for 0.15 s and compares their medians; the ratio is the median of the rounds, with their range in brackets.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch

from benchmarks.graph_forms import FORMS, Form
from benchmarks.harness import LOAD_CORE
from training.export.graphs import export_graph
from training.export.probes import GraphModule, Probe, probe_all
from training.likelihoods import likelihood_of
from training.models import kind_named
from training.networks import Sizes
from training.networks.pair import Blueprint, Networks
from training.run.publish import modules_of, modules_without_likelihood
from training.scaling import scaling_of
from vaeserve.package.data_spec import DataSpec

SECONDS = 0.15
ROWS = (1, 64)
DATA_OF = {"encoder": "mean", "decoder": "data"}


class Pair(NamedTuple):
    """A pair of networks."""

    network: str
    shape: tuple[int, ...]
    maximum: int
    hidden: tuple[int, ...]
    latent: int
    family: str
    kind: str = "vae"


MODELS = {
    "digits": Pair("mlp", (8, 8, 1), 16, (256, 128), 8, "binomial"),
    "mlp": Pair("mlp", (28, 28, 1), 255, (512, 512), 32, "binomial"),
    "gated-mlp": Pair("gated-mlp", (28, 28, 1), 1, (300, 300), 40, "bernoulli"),
    "linear": Pair("linear", (28, 28, 1), 255, (), 32, "binomial"),
    "conv 28": Pair("conv", (28, 28, 1), 1, (16, 32), 16, "bernoulli"),
    "conv 32": Pair("conv", (32, 32, 3), 255, (16, 32), 32, "binomial"),
    "conv 64": Pair("conv", (64, 64, 3), 255, (32, 64, 128), 128, "logistic"),
    "fsq": Pair("conv", (32, 32, 3), 255, (32, 64), 64, "logistic", "fsq"),
    "gan": Pair("conv", (32, 32, 3), 255, (32, 64), 64, "logistic", "gan"),
    "pca-conv": Pair("pca-conv", (32, 32, 3), 255, (32, 64), 64, "logistic"),
    "grid": Pair("grid", (32, 32, 3), 255, (32, 48, 64), 960, "logistic-mixture"),
}


class Model(NamedTuple):
    """What a pair's graphs are made of."""

    modules: Mapping[str, GraphModule]
    probes: Mapping[str, Probe]

    def graph(self, name: str) -> bytes:
        """Returns a graph as training's code exports it now."""
        return export_graph(name, self.modules[name], self.probes[name].inputs).content

    def feeds(self, name: str, rows: int) -> dict[str, np.ndarray]:
        """Returns inputs of a graph."""
        return {
            tensor: np.ascontiguousarray(np.resize(values, (rows, *values.shape[1:])))
            for tensor, values in self.probes[name].inputs.items()
        }


def build(pair: Pair) -> Model:
    """Returns networks with random weights."""
    torch.manual_seed(0)
    data = DataSpec(kind="image", shape=pair.shape, dtype="uint8", minimum=0, maximum=pair.maximum)
    rows = torch.randint(0, pair.maximum + 1, (64, *pair.shape), dtype=torch.uint8)
    kind, scaling = kind_named(pair.kind), scaling_of(data, rows, pair.family)
    likelihood = likelihood_of(pair.family, data, scaling)
    blueprint = Blueprint(pair.network, Sizes(pair.hidden), pair.latent, kind.posterior, likelihood, scaling)
    networks: Networks = kind.networks(blueprint, **dict.fromkeys(kind.network_settings, 8)).eval()
    with torch.no_grad():
        for weights in networks.parameters():
            if weights.ndim == 4 and not weights.any():  # branches start at zero
                weights.normal_(0, 0.05)
    modules = modules_of(networks) if kind.likelihood else modules_without_likelihood(networks)
    return Model(modules, probe_all(modules, data, rows))


def session(graph: bytes, optimised: str = "") -> onnxruntime.InferenceSession:
    """Returns a session; the optimised graph is written to a file if one is named."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.optimized_model_filepath = optimised
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def nodes_left(graph: bytes) -> str:
    """Returns the operators of an optimised graph, the most frequent first."""
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "optimised.onnx")
        session(graph, file)
        counts = Counter(node.op_type for node in onnx.load(file).graph.node)
    return f"{counts.total()}: " + ", ".join(f"{count} {name}" for name, count in counts.most_common())


def compare(model: Model, graph: str, contents: tuple[bytes, bytes], rows: int, rounds: int) -> str:
    """Returns the time of a graph, of another form over it, and how far their answers differ, on one line."""
    ours, other = map(session, contents)
    feeds, output = model.feeds(graph, rows), [DATA_OF[graph]]
    answers = zip(ours.run(None, feeds), other.run(None, feeds), strict=True)
    difference = max(float(np.abs(one.astype(float) - two).max()) for one, two in answers)
    times = [[_median(one, output, feeds) for one in (ours, other)] for _ in range(rounds)]
    ratios = [after / before for before, after in times]
    microseconds = statistics.median(before for before, _ in times) * 1e6
    spread = f"[{min(ratios):.2f}, {max(ratios):.2f}]"
    return f"{microseconds:8,.0f} us, ratio {statistics.median(ratios):.3f} {spread}, differs by {difference:.1g}"


def _median(one: onnxruntime.InferenceSession, output: list[str], feeds: Mapping[str, np.ndarray]) -> float:
    took: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(took) < 3 or time.perf_counter() < end:
        begun = time.perf_counter()
        one.run(output, feeds)
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS), help="some of them, by name")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--only-nodes", action="store_true", help="print what the optimiser leaves, and try no other form"
    )
    options = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    for name in options.models.split(","):
        model = build(MODELS[name])
        for graph in model.modules:
            print(f"{name}, {graph}: {nodes_left(model.graph(graph))}", flush=True)
        for form in FORMS:
            if name in form.models and not options.only_nodes:
                attempt(model, form, options.rounds)


def attempt(model: Model, form: Form, rounds: int) -> None:
    """Measures a graph and another form of it, and prints a line for each number of rows."""
    graph = form.graph
    ours = model.graph(graph)
    with form.patch():
        other = model.graph(graph)
    for rows in ROWS:
        print(f"  {form.name}, {graph}, {rows} rows: {compare(model, graph, (ours, other), rows, rounds)}", flush=True)


if __name__ == "__main__":
    main()
