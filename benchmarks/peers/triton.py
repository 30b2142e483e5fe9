"""Triton: the C++ server in the wheel of PyTriton, with its Python backend, and how it is asked.

The wheel holds no backend of ONNX Runtime, so the graph is run by a Python model in a process of its own, which Triton
talks to through shared memory.
"""

import shutil
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.counters import free_port
from benchmarks.h2load import Request, grpc_request
from benchmarks.harness import Server
from benchmarks.peers import kserve
from benchmarks.peers.dialects import Dialect, Peer, ask_grpc
from benchmarks.peers.environments import RUNTIME, MissingPeer, environment
from benchmarks.peers.graphs import Graph
from benchmarks.peers.joined import Rows
from benchmarks.peers.processes import running

WHEEL = "nvidia-pytriton==0.7.0"
MODEL, INPUT = "decoder", "latent"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
CONFIG = """name: "{model}"
backend: "python"
max_batch_size: 64
input [ {{ name: "{input}" data_type: TYPE_FP32 dims: [ {latent_size} ] }} ]
output [ {{ name: "expectation" data_type: TYPE_FP32 dims: [ {shape} ] }} ]
instance_group [ {{ count: 1 kind: KIND_CPU }} ]
dynamic_batching {{ max_queue_delay_microseconds: 0 }}
"""


@contextmanager
def start(graph: Graph, work: Path) -> Iterator[Server]:
    """Serves a decoder as one instance that joins what waits, and does not wait for more."""
    directory = work / "triton"
    python = environment(directory / "environment", WHEEL, RUNTIME)
    packages = python.parents[1] / "lib" / f"python{PYTHON}" / "site-packages"
    backends = write_backend(packages / "pytriton" / "tritonserver", python.parents[1] / "backends")
    repository = write_repository(graph, directory / graph.directory.name)
    port = free_port()
    command = [str(packages / "pytriton" / "tritonserver" / "bin" / "tritonserver")]
    command += ["--model-repository", str(repository), "--backend-directory", str(backends)]
    command += ["--grpc-address", "127.0.0.1", "--grpc-port", str(port)]
    command += ["--allow-http", "false", "--allow-metrics", "false"]
    libraries = sysconfig.get_config_var("LIBDIR"), str(packages / "nvidia_pytriton.libs")
    variables = {
        "DECODER": str(graph.file),
        "LD_LIBRARY_PATH": ":".join(libraries),
        "PATH": f"{python.parent}:/usr/bin:/bin",  # it looks there for the model's Python
        "VIRTUAL_ENV": str(python.parents[1]),
    }
    one = np.zeros((1, graph.latent_size), np.float32)
    with running(command, port, directory / "log", variables, lambda server: DIALECT.decode(server, one)) as server:
        yield server


def write_backend(wheel: Path, backends: Path) -> Path:
    """Puts the Python backend together once, with the program that fits this Python; returns the directory of backends.

    Raises:
        MissingPeer: there is no such program.
    """
    program = wheel / "python_backend_stubs" / PYTHON / "triton_python_backend_stub"
    if not program.exists():
        raise MissingPeer(f"{WHEEL} has no backend for Python {PYTHON}")
    copy = backends / "python" / program.name
    if not copy.exists():  # files that another server runs must stay as they are
        shutil.copytree(wheel / "backends" / "python", backends / "python", dirs_exist_ok=True)
        shutil.copy(program, copy)
        copy.chmod(0o755)
    return backends


def write_repository(graph: Graph, repository: Path) -> Path:
    """Writes Triton's directory of models, with one model."""
    model = repository / MODEL
    (model / "1").mkdir(parents=True, exist_ok=True)
    shape = ", ".join(map(str, graph.shape))
    config = CONFIG.format(model=MODEL, input=INPUT, latent_size=graph.latent_size, shape=shape)
    (model / "config.pbtxt").write_text(config)
    (model / "1" / "model.py").write_text("from benchmarks.peers.triton_model import TritonPythonModel\n")
    return repository


def request_of(latent: Rows) -> Request:
    """Returns the call that decodes latents."""
    return grpc_request(kserve.INFER, kserve.request(MODEL, INPUT, latent))


DIALECT = Dialect(request_of, ask_grpc, kserve.values)
TRITON = Peer("Triton", start, DIALECT)
