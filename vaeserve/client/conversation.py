"""Conversation: the messages of a long job over a CallStream. Does no I/O; a blocking and an awaited driver do.

    batches -> Conversation.add -> take_message -> (stream) -> receive -> results, in the order of the batches

Calls that a broken stream left unanswered are sent again over the next stream, so that a job survives a restart of its
server.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Generic, NamedTuple, cast

from vaeserve.client.call import PreparedCall, Reply, Result
from vaeserve.client.description import Model
from vaeserve.client.failures import Patience, StreamFailure, passes
from vaeserve.client.stream_messages import answer_of, call_of, part_bytes, take_calls
from vaeserve.client.stride import Stride, rows_of
from vaeserve.errors import InvalidInput, VaeError
from vaeserve.rows.noise import ROW_LIMIT
from vaeserve.v1 import vae_pb2 as pb

_WINDOW_BYTES = 8 * 2**20  # of batches that were sent, or were answered and not yet fetched
_WINDOW_BATCHES = 256
_PARTS_AHEAD = 2  # parts on their way: one that runs, and one that follows at once

Join = Callable[[PreparedCall[Reply, Result], Model, list[Reply]], Result]


class BatchCall(NamedTuple, Generic[Reply, Result]):
    """The call of one of the caller's batches, and the model that it was made for."""

    call: PreparedCall[Reply, Result]
    model: Model


Prepared = BatchCall[Reply, Result] | InvalidInput
"""The call of a batch, or what is wrong with the batch."""


class _PendingBatch(Generic[Reply, Result]):
    """A batch whose result is not complete, or not yet fetched."""

    def __init__(self) -> None:
        self.join: Callable[[list[Reply]], Result] | None = None
        self.replies: dict[int, Reply] = {}
        self.parts = self.bytes = 0
        self.error: VaeError | None = None

    @property
    def is_over(self) -> bool:
        return self.error is not None or len(self.replies) == self.parts

    def result(self) -> Result:
        if self.error is not None or self.join is None:
            raise self.error or AssertionError("a batch has neither replies nor an error. This is a bug.")
        return self.join([reply for _, reply in sorted(self.replies.items())])


class _BatchPart(NamedTuple, Generic[Reply, Result]):
    pending: _PendingBatch[Reply, Result]
    number: int
    call: pb.Call
    weight: int
    """How many rows its rows count as."""


class Conversation(Generic[Reply, Result]):
    """The calls of a long job over a CallStream, and their results in order.

    Args:
        join: makes the result of a batch from its replies.
        patience: hears of every answer.
    """

    def __init__(self, join: Join[Reply, Result], patience: Patience) -> None:
        self._join = join
        self._patience = patience
        self._ids = itertools.count(1)
        self._batches: deque[_PendingBatch[Reply, Result]] = deque()
        self._parts: dict[int, _BatchPart[Reply, Result]] = {}  # not answered yet
        self._unsent: deque[pb.Call] = deque()
        self._bytes = 0
        self._stride: Stride | None = None
        # Rows over the current stream. Each counter is written by one thread only, because `+=` is not atomic.
        self._sent_rows = self._answered_rows = 0
        self.is_failed = False
        """Whether no further batches are wanted because the results end with an error."""

    @property
    def has_room(self) -> bool:
        """Whether another batch is wanted now."""
        is_full = self._bytes >= _WINDOW_BYTES or len(self._batches) >= _WINDOW_BATCHES
        return not self.is_failed and not (self._batches and is_full)

    @property
    def is_waiting(self) -> bool:
        """Whether results are still to come."""
        return bool(self._batches)

    def add(self, prepared: Prepared[Reply, Result]) -> None:
        """Takes a batch. If something is wrong with it, `results` raises that in its turn."""
        pending: _PendingBatch[Reply, Result] = _PendingBatch()
        self._batches.append(pending)
        try:
            if isinstance(prepared, InvalidInput):
                raise prepared
            if self._stride is None or self._stride.model is not prepared.model:
                self._stride = Stride(prepared.model, self._patience.timeout_seconds)
            requests = list(prepared.call.requests(prepared.model, self._stride.rows))
            size = prepared.call.size(prepared.model)
        except InvalidInput as exc:
            pending.error, self.is_failed = exc, True
            return
        pending.join = partial(self._join, prepared.call, prepared.model)
        pending.parts = len(requests)
        data, weight = prepared.model.data.at(size), prepared.model.data.weight(size)
        pending.bytes = sum(part_bytes(request, data) for request in requests)
        self._bytes += pending.bytes
        for number, request in enumerate(requests):
            call = call_of(next(self._ids), request)
            part = _BatchPart(pending, number, call, rows_of(request) * weight)
            self._parts[part.call.id] = part
            self._unsent.append(part.call)

    @property
    def is_held(self) -> bool:
        """Whether calls are waiting to be sent after those on their way are answered."""
        return bool(self._unsent)

    def take_message(self) -> pb.CallStreamRequest | None:
        """Returns the next message to send, or None if there is none or enough rows are on their way."""
        on_their_way = self._sent_rows - self._answered_rows
        most_rows = _PARTS_AHEAD * self._stride.in_time - on_their_way if self._stride else ROW_LIMIT
        if on_their_way and most_rows <= 0:
            return None
        taken = take_calls(self._unsent, most_rows, self._weight_of)
        self._sent_rows += sum(map(self._weight_of, taken))
        return pb.CallStreamRequest(calls=taken, any_order=True) if taken else None

    def _weight_of(self, call: pb.Call) -> int:
        return self._parts[call.id].weight  # a call that is not sent yet has no answer

    def receive(self, message: pb.CallStreamResponse) -> None:
        """Takes replies.

        Raises:
            StreamFailure: a call failed for a passing reason, so the stream should be opened again.
        """
        passing = None
        for reply in message.replies:
            answer = answer_of(reply)
            part = self._parts.get(reply.id)
            if part is None:
                if answer is None and reply.id == 0:
                    raise StreamFailure.of_reply(reply.error)
            elif answer is not None:
                part.pending.replies[part.number] = cast(Reply, answer)
                self._settle(part)
                self._patience.answered()
                if self._stride is not None:
                    self._stride.learn(part.weight, answer)
            else:
                failure = StreamFailure.of_reply(reply.error)
                error = self._patience.error_of(failure)
                if passes(error):
                    passing = failure
                else:
                    part.pending.error = error
                    self._settle(part)
                    self.is_failed = True
        if passing is not None:
            raise passing

    def _settle(self, part: _BatchPart[Reply, Result]) -> None:
        del self._parts[part.call.id]
        self._answered_rows += part.weight

    def resend(self) -> None:
        """Queues every call without an answer for a new stream."""
        self._sent_rows = self._answered_rows = 0
        self._unsent = deque(part.call for part in self._parts.values())

    def results(self) -> Iterator[Result]:
        """Yields the complete results, in the order of the batches.

        Raises:
            CallError: the server refused the next batch, or its parts do not belong together.
            InvalidInput: the next batch does not fit the model.
        """
        while self._batches and self._batches[0].is_over:
            pending = self._batches.popleft()
            self._bytes -= pending.bytes
            yield pending.result()
