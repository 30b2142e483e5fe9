"""A peer's server as a process on the server's core."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

import grpc

from benchmarks.harness import ROOT, SERVER_CORE, Server
from benchmarks.peers.environments import MissingPeer, last_line

START_SECONDS, STOP_SECONDS = 60, 20
LOOK_SECONDS = 0.2


@contextmanager
def running(
    command: Sequence[str], port: int, log: Path, environment: Mapping[str, str], decode: Callable[[Server], object]
) -> Iterator[Server]:
    """Runs a server until the end of the block, which begins when the server answers.

    Args:
        command: what is run.
        port: where it listens.
        log: a file for its output.
        environment: variables, beside those of this process.
        decode: asks the server, and raises as long as it is not ready.

    Raises:
        MissingPeer: it ends, or does not answer in time.
    """
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    pinned = ["taskset", "-c", str(SERVER_CORE), *command]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            pinned, cwd=ROOT, env=variables, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        ) as process,
    ):
        try:
            server = Server(f"127.0.0.1:{port}", process.pid, "")
            _wait(process, server, decode, log)
            yield server
        finally:
            _stop(process)


def _wait(process: "subprocess.Popen[bytes]", server: Server, decode: Callable[[Server], object], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            decode(server)
        except (grpc.RpcError, OSError, HTTPException):
            if process.poll() is not None or time.monotonic() > end:
                raise MissingPeer(f"its server does not start: {last_line(log.read_text(errors='replace'))}") from None
            time.sleep(LOOK_SECONDS)
        else:
            return


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what it started and left behind
