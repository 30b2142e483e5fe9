"""Load from h2load, a generator in C: closed loops and steady rates of identical calls."""

import re
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.calls import answer, call_path
from benchmarks.clocks import clock, since, steal_of
from benchmarks.harness import Load, Server, percentile

CONNECTIONS = 4
WARM_UP_SECONDS = 0.3
FRAME_BYTES = 5  # before each message
MAXIMUM_IN_FLIGHT = 100  # at a steady rate


class Request(NamedTuple):
    """An HTTP request that is sent again and again."""

    path: str
    body: bytes
    flags: tuple[str, ...]
    """Options of h2load."""
    reply_frame: int
    """Bytes of a reply's body before its message."""


def grpc_request(path: str, message: bytes) -> Request:
    """Returns the request of a unary gRPC call."""
    flags = ("-H", "te: trailers", "-H", "content-type: application/grpc")
    return Request(path, b"\0" + len(message).to_bytes(4, "big") + message, flags, FRAME_BYTES)


def load(server: Server, method: str, request: bytes, *, callers: int, seconds: float) -> Load:
    """Loads `vae serve`, or a minimal server; checks the replies."""
    ask = partial(answer, server, method, request)
    return repeat(server, grpc_request(call_path(method), request), ask, callers=callers, seconds=seconds)


def repeat(
    server: Server,
    request: Request,
    ask: Callable[[], bytes],
    *,
    callers: int,
    seconds: float,
    connections: int = CONNECTIONS,
) -> Load:
    """Loads any server with h2load, each caller sending its next call when the last is answered; checks the replies.

    Args:
        server: whose processor time is measured.
        request: what is sent.
        ask: sends it once and returns the reply, without what differs from call to call.
        callers: how many calls are in flight.
        seconds: about how long it takes.
        connections: the maximum number of connections that the callers share.
    """
    expected = ask()
    calls = 2 * callers
    # By number and not by time, because calls cut off at the end would cost the server uncounted time.
    for aim in (WARM_UP_SECONDS, seconds):
        replies = send(server.target, request, calls, callers, connections=connections)
        calls = max(2 * callers, round(replies.calls_a_second * aim))
    before = clock(server.pid)
    replies = send(server.target, request, calls, callers, connections=connections)
    spent = since(server.pid, before)
    _check(replies, calls, request.reply_frame + len(expected))
    if ask() != expected:
        raise SystemExit(f"{request.path}: the answer changed under load")
    p50, p99 = percentile(replies.latencies, 50), percentile(replies.latencies, 99)
    return Load(spent.processor / calls * 1e6, replies.calls_a_second, p50, p99, steal_of(spent))


class Replies(NamedTuple):
    """Replies that h2load received."""

    calls_a_second: float
    received_bytes: int
    latencies: list[float]
    """Milliseconds of each answered call."""


def paced(server: Server, method: str, request: bytes, *, rate: int, seconds: float) -> list[float]:
    """Sends calls at a steady rate, whatever their outcome, and returns their latencies in milliseconds."""
    calls = round(rate * seconds)
    replies = h2load(server.target, method, request, calls, callers=MAXIMUM_IN_FLIGHT, connections=1, rate=rate)
    _check(replies, calls, FRAME_BYTES + len(answer(server, method, request)))
    return replies.latencies


def _check(replies: Replies, calls: int, reply_bytes: int) -> None:
    """Exits if a call was refused. h2load does not read the status in the trailers, but a refusal has no body."""
    if len(replies.latencies) < calls or replies.received_bytes < calls * reply_bytes:
        raise SystemExit(f"of {calls} calls some were not answered")


def h2load(
    target: str,
    method: str,
    request: bytes,
    calls: int,
    callers: int,
    *,
    connections: int = CONNECTIONS,
    rate: int | None = None,
) -> Replies:
    """Sends a number of calls to `vae serve`, or to a minimal server, as `send` does."""
    message = grpc_request(call_path(method), request)
    return send(target, message, calls, callers, connections=connections, rate=rate)


def send(
    target: str,
    request: Request,
    calls: int,
    callers: int,
    *,
    connections: int = CONNECTIONS,
    rate: int | None = None,
) -> Replies:
    """Sends a number of calls over some connections, at most `callers` at a time, and at a rate if one is passed."""
    connections = min(callers, connections)
    with tempfile.TemporaryDirectory() as folder:
        body, log = Path(folder, "body"), Path(folder, "log")
        body.write_bytes(request.body)
        command = ["h2load", "-n", str(calls), "-c", str(connections), "-m", str(callers // connections)]
        command += [*request.flags, "-d", str(body)]
        command += [] if rate is None else ["--rps", str(rate)]
        command += ["--log-file", str(log), f"http://{target}{request.path}"]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows = [line.split("\t") for line in log.read_text().splitlines()]
    reached, received = re.search(r"([\d.]+) req/s", output), re.search(r"\((\d+)\) data", output)
    if reached is None or received is None:
        raise SystemExit(f"h2load printed: {output}")
    latencies = [int(microseconds) / 1000 for _, status, microseconds in rows if status == "200"]
    return Replies(float(reached[1]), int(received[1]), latencies)
