"""Keeps a DecodeStream full for a while, as a bulk job does, and says what came back.

python -m benchmarks.bulk_stream TARGET PACKAGE ROWS SECONDS
"""

import sys
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

import grpc

from benchmarks.harness import ANY_SIZE, decode_request
from vae.v1 import vae_pb2 as pb
from vae.v1.vae_pb2_grpc import VaeServiceStub

WINDOW = 4  # calls on their way at once: enough to keep the device busy while replies travel


class Bulk(NamedTuple):
    """What a stream got."""

    calls: int
    seconds: float
    """Until the last reply."""


def decode_stream(target: str, request: pb.DecodeRequest, seconds: float) -> Bulk:
    """Sends the same call again and again, and reads every reply; leaves where one is an error."""
    started = time.perf_counter()
    room = threading.Semaphore(WINDOW)
    answered = 0

    def messages() -> Iterator[pb.DecodeStreamRequest]:
        for number in count(1):
            room.acquire()
            if time.perf_counter() > started + seconds:
                return
            yield pb.DecodeStreamRequest(calls=[pb.DecodeCall(id=number, request=request)])

    with grpc.insecure_channel(target, options=ANY_SIZE) as channel:
        for message in VaeServiceStub(channel).DecodeStream(messages()):
            for reply in message.replies:
                if reply.HasField("error"):
                    raise SystemExit(f"a call of the stream failed: {reply.error.message}")
                answered += 1
                room.release()
    return Bulk(answered, time.perf_counter() - started)


if __name__ == "__main__":
    sent = pb.DecodeRequest.FromString(decode_request(Path(sys.argv[2]), int(sys.argv[3])))
    print(*decode_stream(sys.argv[1], sent, float(sys.argv[4])))
