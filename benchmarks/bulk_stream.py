"""Keeps a CallStream full of calls of Decode for a while, as a bulk job does, and prints the number of replies.

python -m benchmarks.bulk_stream TARGET PACKAGE ROWS SECONDS
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

import grpc

from benchmarks.calls import ANY_SIZE, decode_request
from benchmarks.harness import ROOT, Server
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

WINDOW = 4  # calls in flight: enough to keep the device busy while replies travel


class Bulk(NamedTuple):
    """Answered calls of a stream."""

    calls: float
    seconds: float


def decode_stream(target: str, request: pb.DecodeRequest, seconds: float) -> Bulk:
    """Sends the same call again and again and reads every reply, from the first on; exits if one is an error."""
    room = threading.Semaphore(WINDOW)
    started = 0.0

    def messages() -> Iterator[pb.CallStreamRequest]:
        for number in count(1):
            room.acquire()
            if started and time.perf_counter() > started + seconds:
                return
            yield pb.CallStreamRequest(calls=[pb.Call(id=number, decode=request)])

    answered = 0
    with grpc.insecure_channel(target, options=ANY_SIZE) as channel:
        for message in VaeServiceStub(channel).CallStream(messages()):
            for reply in message.replies:
                if reply.HasField("error"):
                    raise SystemExit(f"a call of the stream failed: {reply.error.message}")
                answered += 1
                room.release()
            if not started:
                started, answered = time.perf_counter(), 0
                print("started", flush=True)
    return Bulk(answered, time.perf_counter() - started)


@contextmanager
def streaming(server: Server, directory: Path, rows: int, seconds: float) -> Iterator[Callable[[], Bulk]]:
    """Keeps a stream full from a separate process. Yields a function that waits for the end."""
    command = [sys.executable, "-m", "benchmarks.bulk_stream", server.target, str(directory), str(rows), str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise SystemExit("the stream did not start")
        yield lambda: Bulk(*map(float, process.communicate()[0].split()))


if __name__ == "__main__":
    sent = pb.DecodeRequest.FromString(decode_request(Path(sys.argv[2]), int(sys.argv[3])))
    print(*decode_stream(sys.argv[1], sent, float(sys.argv[4])))
