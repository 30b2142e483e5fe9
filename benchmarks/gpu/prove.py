"""Where the graphs run on a GPU machine, whether they answer as on the CPU, and how fast. See run.sh."""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from serving.engine.providers import CUDA_OPTIONS, Placement, Provider, providers
from serving.engine.session import Session
from training.export.graphs import ExportedGraph, export_graphs
from training.export.probes import probe_all
from training.likelihoods import likelihood_of
from training.networks import Sizes
from training.networks.pair import Blueprint, Networks
from training.run.publish import modules_of
from training.scaling import scaling_of
from vaeserve.package.contents import Graph, Tolerance
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.directory import sha256_of
from vaeserve.package.probes import compare, reach_of
from vaeserve.package.row_spec import Array

BATCHES = (1, 8, 64, 512, 4096)
TOLERANCES: dict[Provider, Tolerance] = {
    "cuda": Tolerance(absolute=1e-4, relative=1e-3),  # what a package's probes allow, with TF32 off
    "cpu": Tolerance(absolute=1e-5, relative=1e-4),
}
_COPIES = {"MemcpyToHost", "MemcpyFromHost"}
VAE = [sys.executable, "-c", "from vaeserve.command.cli import main; main()"]


class Model(NamedTuple):
    """Networks with random weights, and their graphs."""

    name: str
    spec: DataSpec
    networks: Networks
    graphs: dict[str, ExportedGraph]


def models() -> Iterator[Model]:
    import torch

    for name, shape, hidden, latent in (("digits", (8, 8, 1), (256, 128), 8), ("wide", (28, 28, 1), (512, 512), 32)):
        spec = DataSpec(kind="image", shape=shape, dtype="uint8", minimum=0, maximum=16)
        torch.manual_seed(0)
        rows = torch.randint(0, 17, (64, *shape), dtype=torch.uint8)
        scaling = scaling_of(spec, rows, "binomial")
        likelihood = likelihood_of("binomial", spec, scaling)
        networks = Networks(Blueprint("mlp", Sizes(hidden), latent, "gaussian", likelihood, scaling)).eval()
        modules = modules_of(networks)
        yield Model(name, spec, networks, export_graphs(modules, probe_all(modules, spec, rows)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--provider", choices=["cuda", "cpu"], default="cuda", help="cpu tries the script itself")
    provider: Provider = parser.parse_args().provider
    if provider not in providers("auto"):
        print("no GPU that ONNX Runtime can use here: nothing to prove")
        return 77
    sound = True
    for model in models():
        for part in ("encoder", "decoder"):
            sound &= check_placement(model, part, provider)
            sound &= check_answers(model, part, provider)
            print_rates(model, part, provider)
    sound &= check_service(provider)
    print("all proved" if sound else "NOT PROVED")
    return 0 if sound else 1


def check_placement(model: Model, part: str, provider: Provider) -> bool:
    """Profiles one run, and tells which provider every node ran on."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    chosen = [("CUDAExecutionProvider", CUDA_OPTIONS)] if provider == "cuda" else []
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(
            model.graphs[part].content, options, providers=[*chosen, "CPUExecutionProvider"]
        )
        session.run(None, inputs(model, part, 64))
        events = json.loads(Path(session.end_profiling()).read_text())
    nodes = {
        (event["name"], event["args"]["op_name"], event["args"]["provider"])
        for event in events
        if event.get("cat") == "Node"
        and "provider" in event.get("args", {})
        and event["args"]["op_name"] not in _COPIES
    }
    elsewhere = sorted({op for _, op, place in nodes if place.lower() != f"{provider}executionprovider"})
    print(f"{model.name} {part}: {len(nodes)} compute nodes, not on {provider}: {', '.join(elsewhere) or 'none'}")
    return bool(nodes) and not elsewhere


def check_answers(model: Model, part: str, provider: Provider) -> bool:
    """Compares every output with the CPU's, at several batch sizes."""
    sound = True
    cpu, device = session_of(model, part, "cpu"), session_of(model, part, provider)
    names = [output.name for output in model.graphs[part].outputs]
    worst: dict[str, float] = dict.fromkeys(names, 0.0)
    for rows in (1, 2, 3, 7, 64, 1000):
        feeds = inputs(model, part, rows)
        reference, answer = (dict(zip(names, session.run(feeds, names), strict=True)) for session in (cpu, device))
        for result in compare(answer, reference, reach_of(model.spec, np.empty(0)), TOLERANCES[provider]):
            worst[result.output] = max(worst[result.output], result.largest_difference)
            sound &= result.passed
    listed = ", ".join(f"{name} {difference:.1e}" for name, difference in worst.items())
    print(
        f"{model.name} {part}: largest difference from the CPU: {listed}: {'within' if sound else 'OUTSIDE'} tolerance"
    )
    return sound


def print_rates(model: Model, part: str, provider: Provider) -> None:
    """Prints rows/s beside PyTorch's, both from NumPy arrays to NumPy arrays."""
    import torch

    session, device = session_of(model, part, provider), torch.device(provider)
    module = getattr(model.networks, part).to(device)
    names = [output.name for output in model.graphs[part].outputs]
    print(f"{model.name} {part}: rows a batch, rows/s by ONNX Runtime, by PyTorch, ratio")
    for rows in BATCHES:
        feeds = inputs(model, part, rows)
        (array,) = feeds.values()

        def by_torch(array: Array = array) -> None:
            with torch.inference_mode():
                for output in module(torch.from_numpy(array).to(device)):
                    output.cpu().numpy()

        def by_session(feeds: dict[str, Array] = feeds) -> None:
            session.run(feeds, names)

        ours = rate(by_session, rows)
        theirs = rate(by_torch, rows)
        print(f"    {rows:5}  {ours:12,.0f}  {theirs:12,.0f}  {ours / theirs:5.2f}")
    module.to("cpu")


def rate(run: Callable[[], object], rows: int, seconds: float = 0.3) -> float:
    """Returns rows a second: the median of five rounds, after a warm-up."""
    for _ in range(5):
        run()
    rounds = []
    for _ in range(5):
        start, runs = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            run()
            runs += 1
        rounds.append(runs * rows / (time.perf_counter() - start))
    return statistics.median(rounds)


def check_service(provider: Provider) -> bool:
    """Serves a package on the provider and on the CPU, and compares what a client gets."""
    from vaeserve import Client, export

    model = next(models())
    spec = {"name": model.name, "kind": "image", "shape": model.spec.shape, "maximum": model.spec.maximum}
    spec |= {"latent_shape": model.graphs["decoder"].inputs[0].row_axes, "likelihood": "binomial"}

    with tempfile.TemporaryDirectory() as folder:
        package = export(model.networks.encoder, model.networks.decoder, spec, Path(folder) / "model")
        answers = {}
        for place in ("cpu", provider):
            command = [*VAE, "serve", str(package.directory), "--port", "0", "--provider", place]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
                assert server.stdout is not None
                try:
                    line = server.stdout.readline().strip()
                    print(f"service: {line}")
                    match = re.search(r"on (\S+:\d+), provider (\w+)", line)
                    if match is None or match[2] != place:
                        return False
                    with Client(match[1]) as client:
                        answers[place] = client.sample(1000, seed=7, output="expectation", include_latent=True)
                finally:
                    server.terminate()
    cpu, device = answers["cpu"], answers[provider]
    equal = bool((np.asarray(cpu.latent) == np.asarray(device.latent)).all())
    difference = float(np.abs(cpu.output - device.output).max())
    print(f"service: latents {'equal' if equal else 'DIFFER'}, expectations differ by at most {difference:.1e} of 16")
    return equal and difference <= TOLERANCES[provider].absolute * 16


def session_of(model: Model, part: str, provider: Provider) -> Session:
    graph = model.graphs[part]
    described = Graph(
        file=f"{part}.onnx",
        sha256=sha256_of(graph.content),
        opset=graph.opset,
        inputs=graph.inputs,
        outputs=graph.outputs,
    )
    return Session(graph.content, described, Placement(provider, 0))


def inputs(model: Model, part: str, rows: int) -> dict[str, Array]:
    random = np.random.default_rng(rows)
    (spec,) = model.graphs[part].inputs
    shape = tuple(axis for axis in spec.row_axes if isinstance(axis, int))
    if spec.dtype == "uint8":
        return {spec.name: random.integers(0, 17, (rows, *shape), np.uint8)}
    return {spec.name: random.normal(size=(rows, *shape)).astype(np.float32)}


if __name__ == "__main__":
    sys.exit(main())
