"""Containers of this project's images, through the commands that an operator types."""

import json
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc

from tests.support.servers import ROOT, until
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

IMAGES = {"serving": "vaeserve", "training": "vaeserve-training", "job": "vaeserve-jobs"}
"""Image of each service of compose that is built here."""
TAG = "image-test"
LOCKED_DOWN = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


def docker(*arguments: str | Path, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `docker` to its end.

    Raises:
        AssertionError: it fails, and `check` is set.
    """
    command = ["docker", *map(str, arguments)]
    everything = {**os.environ, **environment}
    ended = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, env=everything)
    assert not check or ended.returncode == 0, f"{' '.join(command)}\n{ended.stdout[-4000:]}{ended.stderr[-4000:]}"
    return ended


def engine_error() -> str:
    """Returns why no engine can be used, or nothing."""
    try:
        ended = docker("compose", "version", check=False)
        if ended.returncode:
            return "Docker Compose is not installed"
        return docker("info", check=False).stderr.strip()
    except FileNotFoundError:
        return "docker is not installed"


def inspect(container: str) -> dict[str, Any]:
    """Returns what the engine knows about a container."""
    return dict(json.loads(docker("inspect", container).stdout)[0])


def moment(text: str) -> float:
    """Returns a time that the engine wrote, with nanoseconds, in seconds."""
    whole, _, rest = text.partition(".")
    digits = "".join(character for character in rest[:9] if character.isdigit())
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{digits or 0}")


class Deployment:
    """docker-compose.yml under a project, ports and a tag of its own.

    Args:
        project: the name of the compose project.
        ports: by the name of their variable.
        overlays: further compose files.
    """

    def __init__(self, project: str, ports: dict[str, int], overlays: list[Path]) -> None:
        files = [ROOT / "docker-compose.yml", *overlays]
        self.environment = {
            "COMPOSE_PROJECT_NAME": project,
            "COMPOSE_FILE": os.pathsep.join(map(str, files)),
            "COMPOSE_DISABLE_ENV_FILE": "1",
            "VAESERVE_TAG": TAG,
            **{name: str(port) for name, port in ports.items()},
        }
        self.target = f"127.0.0.1:{ports['VAESERVE_PORT']}"

    def compose(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs `docker compose` to its end."""
        return docker("compose", *arguments, check=check, **self.environment)

    def run(self, service: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a command in a new container of a service."""
        return self.compose("run", "--rm", "--no-deps", "-T", service, *command, check=check)

    def roll_out(self, verb: str, run: str) -> str:
        """Runs deploy/rollout.sh, and returns what it prints."""
        command = [str(ROOT / "deploy" / "rollout.sh"), verb, run]
        environment = {**os.environ, **self.environment}
        ended = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        assert ended.returncode == 0, f"{ended.stdout}{ended.stderr}"
        return ended.stdout

    def container(self, service: str) -> str:
        """Returns the id of a service's container."""
        [container] = self.compose("ps", "--all", "--quiet", service).stdout.split()
        return container

    def until_healthy(self, service: str) -> None:
        """Waits until the engine calls a service healthy."""
        container = self.container(service)
        until(lambda: inspect(container)["State"]["Health"]["Status"] == "healthy", seconds=60)

    def logs(self, service: str) -> str:
        """Returns all that a service has printed."""
        return self.compose("logs", "--no-log-prefix", service).stdout


class Load:
    """One-row calls without retries, from some threads, while the context lasts."""

    def __init__(self, target: str, callers: int = 4) -> None:
        self.codes: Counter[str] = Counter()
        """How often each status was answered."""
        self.fingerprints: Counter[str] = Counter()
        """How often each model answered."""
        self._target = target
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(seed,)) for seed in range(callers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        until(lambda: self.codes["OK"] > 20)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def failed(self) -> int:
        """Number of calls that were not answered."""
        return self.codes.total() - self.codes["OK"]

    def _call(self, seed: int) -> None:
        with grpc.insecure_channel(self._target, options=[("grpc.enable_retries", 0)]) as channel:
            stub = VaeServiceStub(channel)
            while not self._stop.is_set():
                try:
                    reply = stub.Sample(pb.SampleRequest(count=1, seed=seed), timeout=30)
                except grpc.RpcError as exc:
                    self.codes[exc.code().name] += 1
                    time.sleep(0.05)
                else:
                    self.codes["OK"] += 1
                    self.fingerprints[reply.fingerprint] += 1


@contextmanager
def detached(*arguments: str) -> Iterator[str]:
    """Runs a container in the background, yields its id, and removes it."""
    container = docker("run", "--detach", *arguments).stdout.strip()
    try:
        yield container
    finally:
        docker("rm", "--force", "--volumes", container)
