"""SampleStream: one request, any number of rows, a message at a time."""

import asyncio
from collections import deque
from typing import Any

import grpc

from serving.line import Answer
from serving.models import Served
from serving.requests import parse_sample
from serving.rows import Decoded, PriorRows
from serving.rpcs import SAMPLE, is_bulk
from serving.streams import MESSAGE_BYTES, Streams
from vae.errors import InvalidInput, ShuttingDown
from vae.noise import ROW_LIMIT
from vae.v1 import vae_pb2 as pb

_PIECES = 3  # one that is written, one that runs, one that waits
Context = grpc.aio.ServicerContext[Any, Any]


async def sample(request: pb.SampleStreamRequest, streams: Streams, context: Context) -> None:
    """Answers one SampleStream: a few pieces are queued ahead of the one that is written.

    Raises:
        InvalidInput: a field is wrong.
        ShuttingDown: the server stops; what it had begun is answered.
    """
    with streams.models.find(request.request.model, request.request.version) as served:
        await _sample(request, streams, served, context)


async def _sample(request: pb.SampleStreamRequest, streams: Streams, served: Served, context: Context) -> None:
    calls, bulk = streams.calls, is_bulk(context, default=True)
    manifest, call_rows = served.accepts
    rows = parse_sample(request.request, served.accepts._replace(call_rows=ROW_LIMIT))
    if not 0 <= request.message_rows <= call_rows:
        raise InvalidInput("message_rows", f"is {request.message_rows}, must lie in [0, {call_rows}]")
    row_bytes = SAMPLE.reply_bytes(rows.part(0, 1), manifest)
    step = request.message_rows or max(1, min(call_rows, MESSAGE_BYTES // row_bytes))
    starts = iter(range(0, len(rows), step))
    piece_bytes = min(step, len(rows)) * row_bytes
    begun: deque[tuple[PriorRows, asyncio.Task[Answer[Decoded]]]] = deque()

    def begin(piece: PriorRows) -> None:
        queued = SAMPLE.queue(served).submit(piece, context.time_remaining(), bulk=bulk, patient=bulk)
        begun.append((piece, asyncio.create_task(queued)))
        streams.held.bytes += piece_bytes
        calls.enter()

    def end() -> None:
        streams.held.bytes -= piece_bytes
        calls.leave(context)

    def may_begin() -> bool:
        return not calls.closed and (not begun or (len(begun) < _PIECES and streams.held.has_room(piece_bytes)))

    try:
        while True:
            while may_begin() and (start := next(starts, None)) is not None:
                begin(rows.part(start, min(start + step, len(rows))))
            if not begun:
                break
            piece, answer = begun[0]
            response = await SAMPLE.finish(request.request, piece, await answer, manifest, streams.images)
            await context.write(pb.SampleStreamResponse(first_row=piece.noise.first_row, response=response))
            begun.popleft()
            end()
    finally:
        for _, answer in begun:
            answer.cancel()
            end()
    if next(starts, None) is not None:
        raise ShuttingDown("the server is shutting down")
