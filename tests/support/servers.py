"""Servers and commands in processes of their own, as a user starts them."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import grpc
from google.rpc.status_pb2 import Status
from prometheus_client.parser import text_string_to_metric_families

T = TypeVar("T")
M = TypeVar("M")

ROOT = Path(__file__).parents[2]
VAE = [sys.executable, "-W", "error", "-c", "from vaeserve.command.cli import main; main()"]


class RunningServer(NamedTuple):
    """A server that said it is ready."""

    target: str
    process: subprocess.Popen[str]
    announcement: str

    def stop(self) -> str:
        """Stops it with SIGTERM and returns its log; it must exit with 0."""
        self.process.send_signal(signal.SIGTERM)
        _, log = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, log
        return log


StartServer = Callable[..., RunningServer]
RunVae = Callable[..., subprocess.CompletedProcess[str]]


# Measuring what pays takes a part of a second at every start; tests that are about it ask for it.
_SET = {"VAE_THREADS": "1", "VAE_BATCH_ROWS": "64"}


def _with(extra: dict[str, str]) -> dict[str, str]:
    return {**os.environ, **_SET, **extra}


def start(package: Path, *flags: str, **environment: str) -> RunningServer:
    process = subprocess.Popen(
        [*VAE, "serve", str(package), "--port", "0", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=_with(environment),
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r" on (\S+:\S+),", line)
    if found is None:
        process.kill()
        raise AssertionError(f"the server did not start: {line}{process.communicate()[1]}")
    return RunningServer(found[1], process, line.strip())


def run_vae(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the `vae` command to its end."""
    command = [*VAE, *map(str, arguments)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=200, cwd=ROOT, env=_with(environment)
    )


def until(find: Callable[[], T], seconds: float = 60.0) -> T:
    """Waits until something is so, or there, and returns it. What is not by then never will be, however busy it is."""
    end = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < end, "it never came to pass"
        time.sleep(0.01)
    return found


async def eventually(is_so: Callable[[], object], seconds: float = 60.0) -> None:
    """As `until`, on an event loop, which goes on meanwhile."""
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110, nothing announces it
            await asyncio.sleep(0.001)


@contextmanager
def running(package: Path, *flags: str) -> Iterator["RunningServer"]:
    """Serves a package for as long as the block lasts."""
    server = start(package, *flags)
    yield server
    server.stop()


def until_in_flight(port: str, calls: int) -> None:
    """Waits until a server has accepted so many calls, and answered none of them, as its metrics tell."""
    until(lambda: read_metrics(port)["vae_calls_in_flight",] == calls)


def ends_with(code: grpc.StatusCode, messages: Iterable[M]) -> list[M]:
    """Returns what came before the stream failed."""
    received: list[M] = []
    try:
        for message in messages:
            received.append(message)
    except grpc.RpcError as error:
        assert error.code() == code
        return received
    raise AssertionError("the stream did not fail")


def status_of(error: grpc.RpcError) -> Status:
    """Returns the details of a refusal."""
    trailers = {item.key: item.value for item in error.trailing_metadata() or ()}
    content = trailers["grpc-status-details-bin"]
    assert isinstance(content, bytes)
    return Status.FromString(content)


def read_metrics(port: str) -> dict[tuple[str, ...], float]:
    """Returns every sample by its name and its labels' values, in the order of the labels' names."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as response:
        families = list(text_string_to_metric_families(response.read().decode()))
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }
