"""SampleStream: one request, any number of rows, a message at a time."""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import grpc

from serving.line import Answer
from serving.models import Served
from serving.requests import Accepts, parse_sample
from serving.rows import Decoded, PriorRows
from serving.rpcs import SAMPLE, is_bulk
from serving.status import refusal_of
from serving.streams import MESSAGE_BYTES, Streams
from vae.errors import InvalidInput, ShuttingDown
from vae.noise import ROW_LIMIT
from vae.v1 import vae_pb2 as pb

_AHEAD = 3  # messages: one that is written, one that runs, one that waits
Context = grpc.aio.ServicerContext[Any, Any]


class _Begun(NamedTuple):
    """A message's rows, which wait or run."""

    rows: PriorRows
    began: float
    answer: asyncio.Task[Answer[Decoded]]


async def sample(request: pb.SampleStreamRequest, streams: Streams, context: Context) -> None:
    """Answers one SampleStream: the rows of a few messages are queued ahead of the one that is written.

    Raises:
        InvalidInput: a field is wrong.
        ShuttingDown: the server stops; what it had begun is answered.
    """
    with streams.models.find(request.request.model, request.request.version) as served:
        await _sample(request, streams, served, context)


async def _sample(request: pb.SampleStreamRequest, streams: Streams, served: Served, context: Context) -> None:
    calls, bulk = streams.calls, is_bulk(context, default=True)
    waiting = _messages(request, served.accepts)
    begun: deque[_Begun] = deque()

    def begin(rows: PriorRows) -> None:
        queued = SAMPLE.queue(served).submit(rows, context.time_remaining(), bulk=bulk, patient=bulk)
        begun.append(_Begun(rows, time.monotonic(), asyncio.create_task(queued)))
        calls.enter()

    def end(one: _Begun, code: grpc.StatusCode) -> None:
        one.answer.cancel()
        calls.leave(context)
        streams.tally.count(SAMPLE.name, "stream", code.name, time.monotonic() - one.began)

    code = grpc.StatusCode.CANCELLED
    try:
        while True:
            while len(begun) < _AHEAD and not calls.closed and (rows := next(waiting, None)) is not None:
                begin(rows)
            if not begun:
                break
            rows, _, answer = begun[0]
            manifest = served.accepts.manifest
            response = await SAMPLE.finish(request.request, rows, await answer, manifest, streams.images)
            await context.write(pb.SampleStreamResponse(first_row=rows.noise.first_row, response=response))
            end(begun.popleft(), grpc.StatusCode.OK)
    except Exception as exc:
        code = refusal_of(exc).code
        raise
    finally:
        for one in begun:
            end(one, code)
    if next(waiting, None) is not None:
        raise ShuttingDown("the server is shutting down")


def _messages(request: pb.SampleStreamRequest, accepts: Accepts) -> Iterator[PriorRows]:
    """Returns the rows of each message.

    Raises:
        InvalidInput: a field is wrong.
    """
    rows = parse_sample(request.request, accepts._replace(call_rows=ROW_LIMIT))
    if not 0 <= request.message_rows <= accepts.call_rows:
        raise InvalidInput("message_rows", f"is {request.message_rows}, must lie in [0, {accepts.call_rows}]")
    row_bytes = SAMPLE.reply_bytes(rows.part(0, 1), accepts.manifest)
    step = request.message_rows or max(1, min(accepts.call_rows, MESSAGE_BYTES // row_bytes))
    return (rows.part(start, min(start + step, len(rows))) for start in range(0, len(rows), step))
