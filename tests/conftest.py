"""A tiny real package, and real servers of it."""

import gc
import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from hypothesis import settings

from tests.support.servers import ROOT, RunningServer, RunVae, StartServer, run_vae, start
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

# Python's garbage collector goes through every object whenever there are many more of them. PyTorch has so many that
# this took a quarter of the time of training's tests.
gc.set_threshold(50_000, 20, 100)

# No test knows how long an example takes: on a busy machine, any of them may take a second.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")


@pytest.fixture(scope="session")
def tiny() -> Path:
    """The committed tiny package: images [4, 4, 1] of counts 0..16, three latents."""
    return ROOT / "tests" / "data" / "tiny"


@pytest.fixture(scope="session")
def free(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of pictures of any size: see tests/support/make_free_package.py."""
    from tests.support.make_free_package import make  # onnx, which few tests need

    return make(tmp_path_factory.mktemp("packages") / "free").directory


@pytest.fixture(scope="session")
def vae() -> RunVae:
    """Runs the `vae` command to its end."""
    return run_vae


@pytest.fixture
def port() -> str:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


@pytest.fixture
def start_server(tiny: Path) -> Iterator[StartServer]:
    """Starts servers; those that still run at the end are killed."""
    running: list[RunningServer] = []

    def start_one(*flags: str, package: Path = tiny, **environment: str) -> RunningServer:
        running.append(start(package, *flags, **environment))
        return running[-1]

    yield start_one
    for server in running:
        if server.process.poll() is None:
            server.process.kill()
        if server.process.stdout and not server.process.stdout.closed:
            server.process.communicate()


@pytest.fixture(scope="session")
def server(tiny: Path) -> Iterator[RunningServer]:
    """One server of the tiny package for every test that leaves it as it was; it must stop with exit code 0."""
    running = start(tiny)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def free_server(free: Path) -> Iterator[RunningServer]:
    """One server of pictures of any size, for every test that leaves it as it was; it must stop with exit code 0."""
    running = start(free)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def stub(server: RunningServer) -> Iterator[VaeServiceStub]:
    """A bare stub, to send what the client never would."""
    with grpc.insecure_channel(server.target) as channel:
        yield VaeServiceStub(channel)
