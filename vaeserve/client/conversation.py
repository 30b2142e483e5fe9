"""What travels over a stream, and what becomes of it. Does no I/O: two drivers, one blocking and one awaited, do.

    batches -> Conversation.add -> take_message -> (stream) -> receive -> results, in the order of the batches

What a broken stream left unanswered is sent again over the next one, so that a long job outlives its server.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Generic, NamedTuple, cast

import numpy.typing as npt
from google.protobuf.message import Message

from vaeserve.client import calls
from vaeserve.client.calls import Call, EncodeOutput, Reply, Result
from vaeserve.client.description import Model
from vaeserve.client.failures import Patience, StreamFailure, passes
from vaeserve.client.results import Decoded, DecodeOutput, Encoded, FloatType
from vaeserve.client.scalars import integer
from vaeserve.client.stride import Stride, rows_of
from vaeserve.errors import InvalidInput, VaeError
from vaeserve.rows.noise import ROW_LIMIT
from vaeserve.v1 import vae_pb2 as pb

MESSAGE_BYTES = 2**20
"""Calls share a message of about so much; one that is larger has its own."""
_WINDOW_BYTES = 8 * 2**20  # of batches that are sent, or answered and not fetched yet
_WINDOW_BATCHES = 256
_PARTS_AHEAD = 2  # that are on their way: one that runs, and one that follows it at once

Join = Callable[[Call[Reply, Result], Model, list[Reply]], Result]


class StreamKind(NamedTuple):
    """What one bidirectional RPC has of its own."""

    method: str
    """Name of the RPC."""
    call: Callable[..., Any]
    message: Callable[..., Any]


STREAMS: Mapping[str, StreamKind] = {
    "Encode": StreamKind("EncodeStream", pb.EncodeCall, pb.EncodeStreamRequest),
    "Decode": StreamKind("DecodeStream", pb.DecodeCall, pb.DecodeStreamRequest),
}
"""By the unary RPC that makes the same calls."""


def part_bytes(request: Message, model: Model) -> int:
    """Returns about how many bytes a request and its reply take."""
    if not isinstance(request, pb.DecodeRequest) or not request.latent.shape:
        return request.ByteSize()
    return request.ByteSize() + 4 * model.data.size * request.latent.shape[0]


def take_calls(
    unsent: "deque[pb.EncodeCall | pb.DecodeCall]", most_rows: int = ROW_LIMIT
) -> list[pb.EncodeCall | pb.DecodeCall]:
    """Takes the next calls that make a message of a good size and few enough rows, or one that is larger."""
    taken: list[pb.EncodeCall | pb.DecodeCall] = []
    size = rows = 0
    while unsent:
        size += unsent[0].ByteSize()
        rows += rows_of(unsent[0].request)
        if taken and (size > MESSAGE_BYTES or rows > most_rows):
            break
        taken.append(unsent.popleft())
    return taken


class Batch(NamedTuple, Generic[Reply, Result]):
    """One of the caller's arrays, as a call, and the model that it was made for."""

    call: Call[Reply, Result]
    model: Model


Made = Batch[Reply, Result] | InvalidInput
"""A batch, or what is wrong with it."""


class _Pending(Generic[Reply, Result]):
    """A batch on its way to a result."""

    def __init__(self) -> None:
        self.join: Callable[[list[Reply]], Result] | None = None
        self.replies: dict[int, Reply] = {}
        self.parts = self.size = 0
        self.error: VaeError | None = None

    @property
    def is_over(self) -> bool:
        return self.error is not None or len(self.replies) == self.parts

    def result(self) -> Result:
        if self.error is not None or self.join is None:
            raise self.error or AssertionError("a batch has neither replies nor an error. This is a bug.")
        return self.join([reply for _, reply in sorted(self.replies.items())])


class _Part(NamedTuple, Generic[Reply, Result]):
    pending: _Pending[Reply, Result]
    number: int
    call: pb.EncodeCall | pb.DecodeCall


class Conversation(Generic[Reply, Result]):
    """The calls of a long job over EncodeStream or DecodeStream, and their results in order.

    Args:
        method: name of the unary RPC that makes the same calls.
        join: makes a batch's result of its replies.
        patience: is told of every answer.
    """

    def __init__(self, method: str, join: Join[Reply, Result], patience: Patience) -> None:
        self.kind = STREAMS[method]
        self._join = join
        self._patience = patience
        self._ids = itertools.count(1)
        self._batches: deque[_Pending[Reply, Result]] = deque()
        self._parts: dict[int, _Part[Reply, Result]] = {}  # not answered yet
        self._unsent: deque[pb.EncodeCall | pb.DecodeCall] = deque()
        self._bytes = 0
        self._stride: Stride | None = None
        # Rows over the present stream. Each is written by one thread alone, or `+=` would lose some.
        self._sent_rows = self._answered_rows = 0
        self.is_failed = False
        """Whether no further batch is wanted, because the results end with an error."""

    @property
    def has_room(self) -> bool:
        """Says whether another batch is wanted now."""
        is_full = self._bytes >= _WINDOW_BYTES or len(self._batches) >= _WINDOW_BATCHES
        return not self.is_failed and not (self._batches and is_full)

    @property
    def is_waiting(self) -> bool:
        """Says whether results are still to come."""
        return bool(self._batches)

    def add(self, made: Made[Reply, Result]) -> None:
        """Takes a batch. What is wrong with it is raised in its turn, by `results`."""
        pending: _Pending[Reply, Result] = _Pending()
        self._batches.append(pending)
        try:
            if isinstance(made, InvalidInput):
                raise made
            if self._stride is None or self._stride.model is not made.model:
                self._stride = Stride(made.model, self._patience.timeout_seconds)
            requests = list(made.call.requests(made.model, self._stride.rows))
        except InvalidInput as exc:
            pending.error, self.is_failed = exc, True
            return
        pending.join = partial(self._join, made.call, made.model)
        pending.parts = len(requests)
        pending.size = sum(part_bytes(request, made.model) for request in requests)
        self._bytes += pending.size
        for number, request in enumerate(requests):
            part = _Part(pending, number, self.kind.call(id=next(self._ids), request=request))
            self._parts[part.call.id] = part
            self._unsent.append(part.call)

    @property
    def is_held(self) -> bool:
        """Says whether there is something to send, once what is on its way is answered."""
        return bool(self._unsent)

    def take_message(self) -> Message | None:
        """Returns the next message to send, if there is one and the rows on their way are few enough."""
        on_their_way = self._sent_rows - self._answered_rows
        most_rows = _PARTS_AHEAD * self._stride.in_time - on_their_way if self._stride else ROW_LIMIT
        if on_their_way and most_rows <= 0:
            return None
        taken = take_calls(self._unsent, most_rows)
        self._sent_rows += sum(rows_of(call.request) for call in taken)
        message: Message | None = self.kind.message(calls=taken, any_order=True) if taken else None
        return message

    def receive(self, message: pb.EncodeStreamResponse | pb.DecodeStreamResponse) -> None:
        """Takes replies.

        Raises:
            grpc.RpcError: a call failed in a way that passes, so that the stream should be opened again.
        """
        passing = None
        for reply in message.replies:
            failure = StreamFailure.of_reply(reply.error) if reply.HasField("error") else None
            part = self._parts.get(reply.id)
            if part is None:
                if failure is not None and reply.id == 0:
                    raise failure
            elif failure is None:
                part.pending.replies[part.number] = cast(Reply, reply.response)
                self._settle(part)
                self._patience.answered()
                if self._stride is not None:
                    self._stride.learn(part.call.request, reply.response)
            else:
                error = self._patience.error_of(failure)
                if passes(error):
                    passing = failure
                else:
                    part.pending.error = error
                    self._settle(part)
                    self.is_failed = True
        if passing is not None:
            raise passing

    def _settle(self, part: _Part[Reply, Result]) -> None:
        del self._parts[part.call.id]
        self._answered_rows += rows_of(part.call.request)

    def resend(self) -> None:
        """Readies everything without an answer for a new stream."""
        self._sent_rows = self._answered_rows = 0
        self._unsent = deque(part.call for part in self._parts.values())

    def results(self) -> Iterator[Result]:
        """Yields the results that are complete, in the order of the batches.

        Raises:
            CallError: the server refused the next batch, or its parts do not belong together.
            InvalidInput: the next batch does not fit the model.
        """
        while self._batches and self._batches[0].is_over:
            pending = self._batches.popleft()
            self._bytes -= pending.size
            yield pending.result()


def encode_each(
    *, output: EncodeOutput, seed: int | None, first_row: int, dtype: FloatType, model: str, version: int
) -> Callable[[npt.ArrayLike], Call[pb.EncodeResponse, Encoded]]:
    """Returns what makes a call of each batch. Draws go on counting their rows from batch to batch."""
    drawn = calls.choose_seed(seed) if output == "sample" else seed
    encode = partial(calls.encode, output=output, seed=drawn, dtype=dtype, model=model, version=version)
    row = integer("first_row", first_row, ROW_LIMIT)

    def call(data: npt.ArrayLike) -> Call[pb.EncodeResponse, Encoded]:
        nonlocal row
        made = encode(data, first_row=row)
        if output == "sample":
            row += len(data)  # type: ignore[arg-type]  # it was found to be rows
        return made

    encode([0], first_row=row)  # finds wrong options before anything is sent
    return call


def decode_each(
    *, output: DecodeOutput, fingerprint: str | None, dtype: FloatType, model: str, version: int
) -> Callable[[npt.ArrayLike | Encoded], Call[pb.DecodeResponse, Decoded]]:
    """Returns what makes a call of each batch."""
    decode = partial(calls.decode, output=output, fingerprint=fingerprint, dtype=dtype, model=model, version=version)
    decode([0])  # finds wrong options before anything is sent
    return decode
