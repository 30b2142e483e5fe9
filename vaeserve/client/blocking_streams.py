"""Streams of the blocking client: any number of batches or rows, in bounded memory, resumed after a break."""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

from vaeserve.client.call import Reply, Result
from vaeserve.client.conversation import BatchCall, Conversation, Prepared
from vaeserve.client.description import Model
from vaeserve.client.endpoint import Endpoint
from vaeserve.client.failures import Patience, StreamFailure, client_closed
from vaeserve.client.open_stream import M, OpenStream, Take
from vaeserve.client.results import Sampled
from vaeserve.client.samples import Samples
from vaeserve.client.stream_jobs import StreamJob
from vaeserve.errors import InvalidInput
from vaeserve.v1 import vae_pb2 as pb

if TYPE_CHECKING:
    from vaeserve.v1.vae_pb2_grpc import VaeServiceStub


class BlockingStreams:
    """Drives long jobs over streams.

    Args:
        endpoint: the server.
        stub: of the channel to the server.
        get_model: describes a model, as it is now.
    """

    def __init__(self, endpoint: Endpoint, stub: "VaeServiceStub", get_model: Callable[[str, int], Model]) -> None:
        self._endpoint = endpoint
        self._stub = stub
        self._get_model = get_model

    def converse(self, job: StreamJob[Reply, Result], batches: Iterable[Any], seconds: float) -> Iterator[Result]:
        """Yields the result of every batch, in order.

        Raises:
            InvalidInput: a batch does not fit the model.
            CallError: as the unary call does.
        """
        patience = Patience(self._endpoint.connection.target, seconds)
        talk: Conversation[Reply, Result] = Conversation(self._endpoint.join, patience)
        prepared = self._prepare(job, batches)
        while True:
            stream: OpenStream[Any] = self._open("CallStream", talk.take_message)
            try:
                yield from self._exchange(talk, stream, prepared, patience)
                return
            except StreamFailure as exc:
                pause = self._endpoint.pause(patience, exc)
            finally:
                stream.close()
            talk.resend()
            time.sleep(pause)

    def _prepare(self, job: StreamJob[Reply, Result], batches: Iterable[Any]) -> Iterator[Prepared[Reply, Result]]:
        self._get_model(*job.route)  # the model may have been replaced since it was last described
        for batch in batches:
            try:
                call = job.prepare(batch)
            except InvalidInput as exc:
                yield exc
                return
            yield BatchCall(call, self._endpoint.model(job.route) or self._get_model(*job.route))

    def _exchange(
        self,
        talk: Conversation[Reply, Result],
        stream: OpenStream[Any],
        prepared: Iterator[Prepared[Reply, Result]],
        patience: Patience,
    ) -> Iterator[Result]:
        """Takes replies that have come, else sends if there is room, else waits, until all batches are answered."""
        stream.wake()
        has_more = True
        while True:
            yield from talk.results()
            if has_more and talk.has_room and not stream.has_message:
                batch = next(prepared, None)
                has_more = batch is not None
                if batch is not None:
                    talk.add(batch)
                    stream.wake()
            elif talk.is_waiting or stream.has_message:  # the message may be the end of a broken stream
                talk.receive(self._read(stream, patience))
                if talk.is_held:
                    stream.wake()
            else:
                return

    def receive_all(self, samples: Samples, seconds: float) -> Iterator[Sampled]:
        """Yields the rows of a SampleStream, a message at a time.

        Raises:
            CallError: as `sample` does.
        """
        patience = Patience(self._endpoint.connection.target, seconds)
        model = self._get_model(*samples.route)
        while True:
            stream: OpenStream[pb.SampleStreamResponse] = self._open("SampleStream", samples.request(model))
            try:
                while not samples.is_done:
                    message = self._read(stream, patience)
                    patience.answered()
                    yield samples.receive(message, self._endpoint.join, model)
                return
            except StreamFailure as exc:
                pause = self._endpoint.pause(patience, exc)
            finally:
                stream.close()
            time.sleep(pause)

    def _open(self, method: str, sent: "Message | Take") -> OpenStream[Any]:
        """Opens a stream that sends one request, or the messages that `Take` returns."""
        rpc = partial(getattr(self._stub, method), metadata=self._endpoint.metadata())
        try:
            return OpenStream(partial(rpc, sent)) if isinstance(sent, Message) else OpenStream(rpc, sent)
        except ValueError as exc:
            if not self._endpoint.is_closed:
                raise
            raise client_closed() from exc

    def _read(self, stream: OpenStream[M], patience: Patience) -> M:
        try:
            return stream.read(patience.timeout_seconds)
        except TimeoutError as exc:
            raise patience.too_late() from exc
