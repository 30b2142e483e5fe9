"""Containers of this project's images, through the commands that an operator types."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support.servers import ROOT, until

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


@contextmanager
def detached(*arguments: str) -> Iterator[str]:
    """Runs a container in the background, yields its id, and removes it."""
    container = docker("run", "--detach", *arguments).stdout.strip()
    try:
        yield container
    finally:
        docker("rm", "--force", "--volumes", container)
