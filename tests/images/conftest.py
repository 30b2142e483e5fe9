"""The images, built once, and one deployment of docker-compose.yml. `make image-test` runs these tests."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.containers import IMAGES, TAG, Deployment, docker, engine_error
from tests.support.servers import until

_PORTS = ("VAESERVE_PORT", "VAESERVE_PROMETHEUS_PORT", "VAESERVE_GRAFANA_PORT", "VAESERVE_GPU_PORT")
_figures: list[str] = []


@pytest.fixture(scope="session")
def figures() -> list[str]:
    """Lines that the end of the run prints: sizes, seconds, numbers of calls."""
    return _figures


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _figures:
        terminalreporter.section("figures")
    for line in _figures:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Docker engine: the one that runs, or else one that is started for these tests."""
    if not os.environ.get("IMAGE_TEST"):
        pytest.skip("containers take minutes: `make image-test` runs these tests")
    error = engine_error()
    if not error:
        yield
        return
    if not shutil.which("dockerd") or os.geteuid() != 0:
        pytest.skip(f"no Docker engine can be used: {error}")
    # It keeps its images where every engine of this machine does, so that the next run need not fetch them again.
    with (tmp_path_factory.mktemp("engine") / "log").open("w+") as log:
        running = subprocess.Popen(["dockerd"], stdout=log, stderr=log)
        try:
            until(lambda: running.poll() is not None or not engine_error())
            if running.poll() is not None:
                log.seek(0)
                pytest.skip(f"no Docker engine starts here: {log.read().splitlines()[-1]}")
            yield
        finally:
            running.terminate()
            running.wait()


@pytest.fixture(scope="session")
def deployment(engine: None, figures: list[str]) -> Iterator[Deployment]:
    """The images of the profiles `batch` and none, built, and the service, brought up. All of it is removed at the end.

    IMAGE_TEST_OVERLAY may name one more compose file, for example with secrets that a build needs here.
    """
    overlay = os.environ.get("IMAGE_TEST_OVERLAY")
    made = Deployment("vaeserve-image-test", _free_ports(), [Path(overlay)] if overlay else [])
    with ExitStack() as stack:
        stack.callback(docker, "image", "rm", "--force", *(f"{image}:{TAG}" for image in IMAGES.values()))
        stack.callback(made.compose, "--profile", "*", "down", "--volumes", "--timeout", "20")
        began = time.monotonic()
        made.compose("--profile", "batch", "build")
        figures.append(f"build of {len(IMAGES)} images: {time.monotonic() - began:.0f} s")
        began = time.monotonic()
        made.compose("up", "--detach", "--wait", "serving")
        figures.append(f"docker compose up, training included: {time.monotonic() - began:.0f} s")
        yield made


def _free_ports() -> dict[str, int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in _PORTS]
        return {name: free.getsockname()[1] for name, free in zip(_PORTS, sockets, strict=True)}
