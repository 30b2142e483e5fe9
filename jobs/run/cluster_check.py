"""Whether a Ray cluster answers: found out in time, in one line.

`ray.init` waits for ever, and prints pages, where something other than Ray listens. So a process that can be ended
tries it first.
"""

import socket
import subprocess
import sys
from importlib.util import find_spec
from typing import Final

from vaeserve.errors import JobError, how_to_install

_LOOK_SECONDS: Final = 5.0  # Ray itself looks for a cluster for two minutes
_JOIN_SECONDS: Final = 30.0  # importing Ray and joining a cluster take about three
_PROBLEM_CHARACTERS: Final = 300

_PROBE: Final = """
import logging, sys
import ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.CRITICAL)
except Exception as exc:
    print(exc)
    sys.exit(1)
"""


def check_cluster(address: str) -> None:
    """Makes sure that Ray is installed and that a cluster answers. Does nothing if this process has joined one.

    Args:
        address: `auto`, HOST:PORT or ray://HOST:PORT.

    Raises:
        JobError: Ray is not installed, or no cluster answers.
    """
    if find_spec("ray") is None:
        raise JobError(f"--ray needs Ray: {how_to_install('ray')}")
    if _has_joined():
        return
    check_listening(address)
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE, address],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_JOIN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        problem = f"what listens there has not answered as Ray does in {_JOIN_SECONDS:.0f} s"
        raise JobError(f"--ray: no cluster answers at {address}: {problem}") from exc
    if probe.returncode:
        problem = one_line(probe.stdout) or f"joining it ended with exit code {probe.returncode}"
        raise JobError(f"--ray: no cluster answers at {address}: {problem}")


def check_listening(address: str) -> None:
    """Makes sure that something listens where a cluster is said to be.

    Raises:
        JobError: nothing does.
    """
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise JobError(f"--ray: is {address!r}, must be auto, HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _LOOK_SECONDS).close()
    except (OSError, OverflowError) as exc:
        problem = getattr(exc, "strerror", None) or str(exc)
        raise JobError(f"--ray: no cluster answers at {address}: {problem}") from exc


def one_line(problem: object) -> str:
    """Returns the beginning of one of Ray's messages, which may be pages long."""
    return " ".join(str(problem).split())[:_PROBLEM_CHARACTERS]


def _has_joined() -> bool:
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())
