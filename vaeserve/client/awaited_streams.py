"""AsyncStreamClient: what StreamClient does, awaited. See vaeserve/client/conversation.py."""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic

import grpc
import numpy.typing as npt
from google.protobuf.message import Message

from vaeserve.client import calls
from vaeserve.client.calls import Call, EncodeOutput, Reply, Result, Route
from vaeserve.client.conversation import Batch, Conversation, Made, decode_each, encode_each
from vaeserve.client.description import Model
from vaeserve.client.endpoint import Endpoint
from vaeserve.client.failures import Patience, client_closed
from vaeserve.client.open_stream import AsyncOpenStream, Take
from vaeserve.client.results import Decoded, DecodeOutput, Encoded, FloatType, Sampled
from vaeserve.client.samples import Samples
from vaeserve.errors import InvalidInput
from vaeserve.v1 import vae_pb2 as pb

if TYPE_CHECKING:
    from vaeserve.v1.vae_pb2_grpc import VaeServiceAsyncStub

Batches = AsyncIterable[Any] | Iterable[Any]


class AsyncStreamClient(Endpoint):
    """What an AsyncClient does over streams. Batches may come from an iterable or an asynchronous one."""

    def encode_stream(
        self,
        batches: AsyncIterable[npt.ArrayLike] | Iterable[npt.ArrayLike],
        *,
        output: EncodeOutput = "mean",
        seed: int | None = None,
        first_row: int = 0,
        dtype: FloatType = "float32",
        model: str = "",
        version: int = 0,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Encoded]:
        """As `Client.encode_stream`, iterated with `async for`."""
        make = encode_each(output=output, seed=seed, first_row=first_row, dtype=dtype, model=model, version=version)
        return self._converse("Encode", make, calls.route(model, version), batches, self._seconds(timeout_seconds))

    def decode_stream(
        self,
        batches: AsyncIterable[npt.ArrayLike | Encoded] | Iterable[npt.ArrayLike | Encoded],
        *,
        output: DecodeOutput = "data",
        fingerprint: str | None = None,
        dtype: FloatType = "float32",
        model: str = "",
        version: int = 0,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Decoded]:
        """As `Client.decode_stream`, iterated with `async for`."""
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
    ) -> AsyncIterator[Sampled]:
        """As `Client.sample_stream`, iterated with `async for`."""
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

    @property
    @abstractmethod
    def _stub(self) -> "VaeServiceAsyncStub": ...

    @abstractmethod
    async def get_model(self, model: str = "", version: int = 0, *, timeout_seconds: float | None = None) -> Model:
        """Describes one model, as it is now."""

    async def _converse(
        self, method: str, make: Callable[[Any], Call[Reply, Result]], route: Route, batches: Batches, seconds: float
    ) -> AsyncIterator[Result]:
        patience = Patience(self._connection.target, seconds)
        talk: Conversation[Reply, Result] = Conversation(method, self._join, patience)
        ahead = _Ahead(self._made(make, route, batches))
        try:
            while True:
                stream: AsyncOpenStream[Any] = self._open(talk.kind.method, talk.take_message)
                exchange = _exchange(talk, stream, ahead, seconds)
                try:
                    async for result in exchange:
                        yield result
                    return
                except TimeoutError as exc:
                    raise patience.too_late() from exc
                except grpc.RpcError as exc:
                    pause = self._pause(patience, exc)
                finally:
                    await exchange.aclose()
                talk.resend()
                await asyncio.sleep(pause)
        finally:
            ahead.close()

    async def _made(
        self, make: Callable[[Any], Call[Reply, Result]], route: Route, batches: Batches
    ) -> AsyncIterator[Made[Reply, Result]]:
        await self.get_model(*route)  # what does not fit a model that was described long ago may fit its successor
        async for batch in _each(batches):
            try:
                call = make(batch)
            except InvalidInput as exc:
                yield exc
                return
            yield Batch(call, self._models.get(route) or await self.get_model(*route))

    async def _receive_all(self, samples: Samples, seconds: float) -> AsyncIterator[Sampled]:
        patience = Patience(self._connection.target, seconds)
        model = await self.get_model(*samples.route)
        while True:
            stream: AsyncOpenStream[pb.SampleStreamResponse] = self._open("SampleStream", samples.request(model))
            try:
                while not samples.is_done:
                    message = await asyncio.wait_for(stream.read(), seconds)
                    patience.answered()
                    yield samples.receive(message, self._join, model)
                await stream.finish()
                return
            except TimeoutError as exc:
                raise patience.too_late() from exc
            except grpc.RpcError as exc:
                pause = self._pause(patience, exc)
            finally:
                stream.close()
                await stream.ended()
            await asyncio.sleep(pause)

    def _open(self, method: str, sent: Message | Take) -> AsyncOpenStream[Any]:
        """Opens a stream, of one request or of those that are taken."""
        rpc = partial(getattr(self._stub, method), metadata=self._connection.metadata)
        return AsyncOpenStream(rpc(sent)) if isinstance(sent, Message) else AsyncOpenStream(rpc(), sent)

    def _pause(self, patience: Patience, error: grpc.RpcError) -> float:
        if self._closed:
            raise client_closed() from error
        return patience.pause(error)


class _Ahead(Generic[Reply, Result]):
    """Fetches the next batch while replies are waited for."""

    def __init__(self, made: AsyncIterator[Made[Reply, Result]]) -> None:
        self._made = made
        self.fetching: asyncio.Task[Made[Reply, Result] | None] | None = None
        self.is_over = False

    def start(self) -> None:
        """Begins to fetch, unless it has begun already or there are no more."""
        if self.fetching is None and not self.is_over:
            self.fetching = asyncio.create_task(self._next())

    def take(self) -> Made[Reply, Result] | None:
        """Returns the batch if one was fetched."""
        if self.fetching is None or not self.fetching.done():
            return None
        fetched, self.fetching = self.fetching.result(), None
        self.is_over = fetched is None
        return fetched

    def close(self) -> None:
        """Stops."""
        if self.fetching is not None:
            self.fetching.cancel()

    async def _next(self) -> Made[Reply, Result] | None:
        return await anext(self._made, None)


async def _exchange(
    talk: Conversation[Reply, Result], stream: AsyncOpenStream[Any], ahead: _Ahead[Reply, Result], seconds: float
) -> AsyncGenerator[Result, None]:
    """Takes what comes and sends what there is room for, until there is no more of either."""
    stream.wake()
    reading: asyncio.Task[Any] | None = None
    try:
        while True:
            for result in talk.results():
                yield result
            if talk.has_room:
                ahead.start()
            if reading is None and talk.is_waiting:
                reading = asyncio.create_task(stream.read())
            tasks = {task for task in (reading, ahead.fetching) if task is not None}
            if not tasks:
                await stream.finish()
                return
            done, _ = await asyncio.wait(
                tasks, timeout=seconds if reading else None, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise TimeoutError
            batch = ahead.take()
            if batch is not None:
                talk.add(batch)
                stream.wake()
            if reading in done:
                finished, reading = reading, None
                talk.receive(finished.result())
                if talk.is_held:
                    stream.wake()
    finally:
        stream.close()
        await stream.ended(reading)


async def _each(batches: Batches) -> AsyncIterator[Any]:
    if isinstance(batches, AsyncIterable):
        async for batch in batches:
            yield batch
    else:
        for batch in batches:
            yield batch
