"""SampleStream: one request, any number of rows, a message at a time."""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import grpc

from serving.engine.rows import PriorRows
from serving.models.loaded import LoadedModel
from serving.models.served import Served
from serving.tracing.current import current_span
from serving.transport.context import CallerLeft, Context
from serving.transport.status import refusal_of
from serving.vae_v1.call_class import is_bulk_context
from serving.vae_v1.describe import row_microseconds
from serving.vae_v1.sample import Sample
from serving.vae_v1.streams import MESSAGE_BYTES, Streams
from vaeserve.errors import InvalidInput, ShuttingDown
from vaeserve.slices import rows_that_fit
from vaeserve.v1 import vae_pb2 as pb

_MESSAGE_MICROSECONDS = 10**6  # so that a caller sees progress while waiting
_UNLIMITED = 2**128  # rows: more than have numbers, even if each counts as many
_AHEAD = 3  # messages: one is written, one runs, one waits
_SAMPLE = Sample()


class _Begun(NamedTuple):
    """A message whose rows wait or run, or which waits to be written."""

    size: int
    began: float
    message: asyncio.Task[bytes]


async def sample(request: pb.SampleStreamRequest, streams: Streams, context: Context) -> None:
    """Answers one SampleStream: the rows of a few messages are queued ahead of the one that is written.

    Raises:
        InvalidInput: a field is wrong.
        ShuttingDown: the server stops; the messages that it had begun are sent.
    """
    with streams.models.find(request.request.model, request.request.version) as served:
        if span := current_span.get():
            span.is_for(*served.key)
        await _Sampling(request, streams, served, context).run()


class _Sampling:
    """One SampleStream."""

    def __init__(self, request: pb.SampleStreamRequest, streams: Streams, served: Served, context: Context) -> None:
        self._request = request.request
        self._streams = streams
        self._served = served
        self._context = context
        self._bulk = is_bulk_context(context, default=True)
        self._waiting = messages(request, served)
        self._next = next(self._waiting, None)
        self._begun: deque[_Begun] = deque()

    async def run(self) -> None:
        code = grpc.StatusCode.CANCELLED
        try:
            while await self._begin_some():
                await self._context.write(await self._begun[0].message)
                self._end(grpc.StatusCode.OK)
        except CallerLeft:
            raise
        except Exception as exc:
            code = refusal_of(exc).code
            raise
        finally:
            while self._begun:
                self._end(code)
        if self._next is not None:
            raise ShuttingDown()

    async def _begin_some(self) -> bool:
        """Queues the rows of the next messages, once one fits. Returns whether any message is begun."""
        calls, held = self._streams.calls, self._streams.held
        while self._next is not None and not calls.is_closed and len(self._begun) < _AHEAD:
            size = _SAMPLE.takes_bytes(self._request, self._next, self._served.manifest)
            if held.fits(size):
                self._begin(self._next, size)
                self._next = next(self._waiting, None)
            elif self._begun:
                break
            else:
                await held.wait_for_room(size, lambda: calls.is_closed)
        return bool(self._begun)

    def _begin(self, rows: PriorRows, size: int) -> None:
        self._begun.append(_Begun(size, time.monotonic(), asyncio.create_task(self._respond(rows, size))))
        self._streams.calls.enter()
        self._streams.held.add(size)

    async def _respond(self, rows: PriorRows, size: int) -> bytes:
        response = await _SAMPLE.respond(
            self._request,
            rows,
            self._served,
            self._streams.images,
            self._context.seconds_left,
            size=size,
            bulk=self._bulk,
            patient=self._bulk,
        )
        first = pb.SampleStreamResponse(first_row=rows.noise.first_row)
        return response.serialize().within(first, "response").join()

    def _end(self, code: grpc.StatusCode) -> None:
        begun = self._begun.popleft()
        begun.message.cancel()
        self._streams.held.add(-begun.size)
        self._streams.calls.leave()
        self._streams.tally.count(_SAMPLE.name, "stream", code.name, time.monotonic() - begun.began)


def messages(request: pb.SampleStreamRequest, served: LoadedModel) -> Iterator[PriorRows]:
    """Returns the rows of each message. Unless the caller sets their number, a message takes about a second.

    Raises:
        InvalidInput: a field is wrong.
    """
    manifest = served.manifest
    rows = _SAMPLE.parse(request.request, manifest, served.limits._replace(call_rows=_UNLIMITED))
    weight = manifest.data.weight(rows.size)
    call_rows = rows_that_fit(served.limits.call_rows, weight)
    if not 0 <= request.message_rows <= call_rows:
        raise InvalidInput("message_rows", f"is {request.message_rows}, must lie in [0, {call_rows}]")
    row_bytes = _SAMPLE.reply_bytes(rows.part(0, 1), manifest)
    in_time = _MESSAGE_MICROSECONDS // max(1, weight * row_microseconds(served))
    step = request.message_rows or max(1, min(call_rows, MESSAGE_BYTES // row_bytes, in_time))
    return (rows.part(start, min(start + step, len(rows))) for start in range(0, len(rows), step))
