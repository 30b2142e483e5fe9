"""StreamClient: the blocking client's long jobs, over streams. See vaeserve/client/conversation.py."""

import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
import numpy.typing as npt
from google.protobuf.message import Message

from vaeserve.client import calls
from vaeserve.client.calls import Call, EncodeOutput, Reply, Result, Route
from vaeserve.client.conversation import Batch, Conversation, Made, decode_each, encode_each
from vaeserve.client.description import Model
from vaeserve.client.endpoint import Endpoint
from vaeserve.client.failures import Patience, client_closed
from vaeserve.client.open_stream import M, OpenStream, Take
from vaeserve.client.results import Decoded, DecodeOutput, Encoded, FloatType, Sampled
from vaeserve.client.samples import Samples
from vaeserve.errors import InvalidInput
from vaeserve.v1 import vae_pb2 as pb

if TYPE_CHECKING:
    from vaeserve.v1.vae_pb2_grpc import VaeServiceStub


class StreamClient(Endpoint):
    """What a Client does over streams: any number of batches or rows, in bounded memory, resumed where they broke."""

    _stub: "VaeServiceStub"

    def encode_stream(
        self,
        batches: Iterable[npt.ArrayLike],
        *,
        output: EncodeOutput = "mean",
        seed: int | None = None,
        first_row: int = 0,
        dtype: FloatType = "float32",
        model: str = "",
        version: int = 0,
        timeout_seconds: float | None = None,
    ) -> Iterator[Encoded]:
        """Encodes any number of batches, each as `encode` does, and yields their results in order.

        Batches are taken some way ahead of the results. A connection that breaks is opened again, and what was not
        answered is sent again. A batch that is wrong raises in its turn, after the results of those before it.

        Args:
            batches: arrays, each as `encode` takes it.
            output: the posterior's "mean", a "sample" of it, or "moments": mean and log-variance.
            seed: of a sample, for all batches; picked, and told in the results, if None.
            first_row: number of the first batch's first row; a sample counts on from batch to batch.
            dtype: of the latents, as in `encode`.
            model: name; empty means the only one.
            version: 1 or more; 0 means the newest.
            timeout_seconds: longest time without any answer, broken connections included; the client's own if None.

        Raises:
            InvalidInput: an option is out of range, or a batch does not fit the model.
            CallError: as `encode` does.
        """
        make = encode_each(output=output, seed=seed, first_row=first_row, dtype=dtype, model=model, version=version)
        return self._converse("Encode", make, calls.route(model, version), batches, self._seconds(timeout_seconds))

    def decode_stream(
        self,
        batches: Iterable[npt.ArrayLike | Encoded],
        *,
        output: DecodeOutput = "data",
        fingerprint: str | None = None,
        dtype: FloatType = "float32",
        model: str = "",
        version: int = 0,
        timeout_seconds: float | None = None,
    ) -> Iterator[Decoded]:
        """Decodes any number of batches, each as `decode` does, and yields their results in order.

        Args:
            batches: latents, each as `decode` takes them. See `encode_stream`.
            output: "data", "expectation" or "png", as in `decode`.
            fingerprint: the pair to insist on, as in `decode`.
            dtype: of floating-point rows, as in `decode`.
            model: name; empty means the only one.
            version: 1 or more; 0 means the newest.
            timeout_seconds: longest time without any answer, broken connections included; the client's own if None.

        Raises:
            InvalidInput: an option is out of range, or a batch does not fit the model.
            CallError: as `decode` does.
        """
        make = decode_each(output=output, fingerprint=fingerprint, dtype=dtype, model=model, version=version)
        return self._converse("Decode", make, calls.route(model, version), batches, self._seconds(timeout_seconds))

    def sample_stream(
        self,
        count: int,
        *,
        seed: int | None = None,
        first_row: int = 0,
        temperature: float | None = None,
        prior: str = "",
        output: DecodeOutput = "data",
        include_latent: bool = False,
        dtype: FloatType = "float32",
        message_rows: int = 0,
        model: str = "",
        version: int = 0,
        timeout_seconds: float | None = None,
    ) -> Iterator[Sampled]:
        """Draws any number of rows as `sample` does, and yields them in order, some at a time.

        Args:
            count: number of rows, 1 or more.
            seed: in [0, 2^64 - 1]; picked, and told in the results, if None.
            first_row: in [0, 2^63 - count].
            temperature: factor on the noise's standard deviation, in (0, 1e6]; None means 1.
            prior: name; empty means the model's default.
            output: "data", "expectation" or "png", as in `decode`.
            include_latent: whether to answer the latents too.
            dtype: of floating-point rows, as in `sample`.
            message_rows: most rows in one result; 0 lets the server choose.
            model: name; empty means the only one.
            version: 1 or more; 0 means the newest.
            timeout_seconds: longest time without any answer, broken connections included; the client's own if None.

        Raises:
            InvalidInput: an option is out of range.
            CallError: as `sample` does.
        """
        make = partial(
            calls.sample,
            seed=calls.choose_seed(seed),
            temperature=temperature,
            prior=prior,
            output=output,
            include_latent=include_latent,
            dtype=dtype,
            model=model,
            version=version,
        )
        return self._receive_all(Samples(make, count, first_row, message_rows), self._seconds(timeout_seconds))

    @abstractmethod
    def get_model(self, model: str = "", version: int = 0, *, timeout_seconds: float | None = None) -> Model:
        """Describes one model, as it is now."""

    def _converse(
        self,
        method: str,
        make: Callable[[Any], Call[Reply, Result]],
        route: Route,
        batches: Iterable[Any],
        seconds: float,
    ) -> Iterator[Result]:
        patience = Patience(self._connection.target, seconds)
        talk: Conversation[Reply, Result] = Conversation(method, self._join, patience)
        made = self._made(make, route, batches)
        while True:
            stream: OpenStream[Any] = self._open(talk.kind.method, talk.take_message)
            try:
                yield from self._exchange(talk, stream, made, patience)
                return
            except grpc.RpcError as exc:
                pause = self._pause(patience, exc)
            finally:
                stream.close()
            talk.resend()
            time.sleep(pause)

    def _made(
        self, make: Callable[[Any], Call[Reply, Result]], route: Route, batches: Iterable[Any]
    ) -> Iterator[Made[Reply, Result]]:
        self.get_model(*route)  # what does not fit a model that was described long ago may fit its successor
        for batch in batches:
            try:
                call = make(batch)
            except InvalidInput as exc:
                yield exc
                return
            yield Batch(call, self._models.get(route) or self.get_model(*route))

    def _exchange(
        self,
        talk: Conversation[Reply, Result],
        stream: OpenStream[Any],
        made: Iterator[Made[Reply, Result]],
        patience: Patience,
    ) -> Iterator[Result]:
        """Takes what has come, else sends what there is room for, else waits, until there is no more of either."""
        stream.wake()
        has_more = True
        while True:
            yield from talk.results()
            if has_more and talk.has_room and not stream.has_message:
                batch = next(made, None)
                has_more = batch is not None
                if batch is not None:
                    talk.add(batch)
                    stream.wake()
            elif talk.is_waiting or stream.has_message:  # perhaps only that the stream broke
                talk.receive(self._read(stream, patience))
                if talk.is_held:
                    stream.wake()
            else:
                return

    def _receive_all(self, samples: Samples, seconds: float) -> Iterator[Sampled]:
        patience = Patience(self._connection.target, seconds)
        model = self.get_model(*samples.route)
        while True:
            stream: OpenStream[pb.SampleStreamResponse] = self._open("SampleStream", samples.request(model))
            try:
                while not samples.is_done:
                    message = self._read(stream, patience)
                    patience.answered()
                    yield samples.receive(message, self._join, model)
                return
            except grpc.RpcError as exc:
                pause = self._pause(patience, exc)
            finally:
                stream.close()
            time.sleep(pause)

    def _open(self, method: str, sent: "Message | Take") -> OpenStream[Any]:
        """Opens a stream, of one request or of those that are taken."""
        rpc = partial(getattr(self._stub, method), metadata=self._connection.metadata)
        try:
            return OpenStream(partial(rpc, sent)) if isinstance(sent, Message) else OpenStream(rpc, sent)
        except ValueError as exc:
            if not self._closed:
                raise
            raise client_closed() from exc

    def _read(self, stream: OpenStream[M], patience: Patience) -> M:
        try:
            return stream.read(patience.timeout_seconds)
        except TimeoutError as exc:
            raise patience.too_late() from exc

    def _pause(self, patience: Patience, error: grpc.RpcError) -> float:
        if self._closed:
            raise client_closed() from error
        return patience.pause(error)
