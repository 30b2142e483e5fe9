"""Streams of the awaited client: what BlockingStreams does, for a task. Batches may come asynchronously."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic

from google.protobuf.message import Message

from vaeserve.client.call import Reply, Result
from vaeserve.client.conversation import BatchCall, Conversation, Prepared
from vaeserve.client.description import Model
from vaeserve.client.endpoint import Endpoint
from vaeserve.client.failures import Patience, StreamFailure
from vaeserve.client.open_stream import AsyncOpenStream, M, Take
from vaeserve.client.results import Sampled
from vaeserve.client.samples import Samples
from vaeserve.client.stream_jobs import StreamJob
from vaeserve.errors import InvalidInput
from vaeserve.v1 import vae_pb2 as pb

if TYPE_CHECKING:
    from vaeserve.v1.vae_pb2_grpc import VaeServiceAsyncStub

Batches = AsyncIterable[Any] | Iterable[Any]


class AwaitedStreams:
    """Drives long jobs over streams.

    Args:
        endpoint: the server.
        stub: returns the stub of the running event loop's channel.
        get_model: describes a model, as it is now.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        stub: "Callable[[], VaeServiceAsyncStub]",
        get_model: Callable[[str, int], Awaitable[Model]],
    ) -> None:
        self._endpoint = endpoint
        self._stub = stub
        self._get_model = get_model

    async def converse(self, job: StreamJob[Reply, Result], batches: Batches, seconds: float) -> AsyncIterator[Result]:
        """As `BlockingStreams.converse`, iterated with `async for`."""
        patience = Patience(self._endpoint.connection.target, seconds)
        talk: Conversation[Reply, Result] = Conversation(self._endpoint.join, patience)
        ahead = _Ahead(self._prepare(job, batches))
        try:
            while True:
                stream: AsyncOpenStream[Any] = self._open("CallStream", talk.take_message)
                exchange = _exchange(talk, stream, ahead, patience)
                try:
                    async for result in exchange:
                        yield result
                    return
                except StreamFailure as exc:
                    pause = self._endpoint.pause(patience, exc)
                finally:
                    await exchange.aclose()
                talk.resend()
                await asyncio.sleep(pause)
        finally:
            ahead.close()

    async def _prepare(self, job: StreamJob[Reply, Result], batches: Batches) -> AsyncIterator[Prepared[Reply, Result]]:
        await self._get_model(*job.route)  # it may have been replaced since it was last described
        async for batch in _each(batches):
            try:
                call = job.prepare(batch)
            except InvalidInput as exc:
                yield exc
                return
            yield BatchCall(call, self._endpoint.model(job.route) or await self._get_model(*job.route))

    async def receive_all(self, samples: Samples, seconds: float) -> AsyncIterator[Sampled]:
        """As `BlockingStreams.receive_all`, iterated with `async for`."""
        patience = Patience(self._endpoint.connection.target, seconds)
        model = await self._get_model(*samples.route)
        while True:
            stream: AsyncOpenStream[pb.SampleStreamResponse] = self._open("SampleStream", samples.request(model))
            try:
                while not samples.is_done:
                    message = await _read(stream, patience)
                    patience.answered()
                    yield samples.receive(message, self._endpoint.join, model)
                await stream.finish()
                return
            except StreamFailure as exc:
                pause = self._endpoint.pause(patience, exc)
            finally:
                stream.close()
                await stream.ended()
            await asyncio.sleep(pause)

    def _open(self, method: str, sent: Message | Take) -> AsyncOpenStream[Any]:
        """Opens a stream that sends one request, or the messages that `Take` returns."""
        rpc = partial(getattr(self._stub(), method), metadata=self._endpoint.metadata())
        return AsyncOpenStream(rpc(sent)) if isinstance(sent, Message) else AsyncOpenStream(rpc(), sent)


class _Ahead(Generic[Reply, Result]):
    """Fetches the next batch while replies are waited for."""

    def __init__(self, prepared: AsyncIterator[Prepared[Reply, Result]]) -> None:
        self._prepared = prepared
        self.fetching: asyncio.Task[Prepared[Reply, Result] | None] | None = None
        self.is_over = False

    def start(self) -> None:
        """Begins to fetch the next batch, unless a fetch is in progress or there are no more batches."""
        if self.fetching is None and not self.is_over:
            self.fetching = asyncio.create_task(self._next())

    def take(self) -> Prepared[Reply, Result] | None:
        """Returns the next batch if it is there."""
        if self.fetching is None or not self.fetching.done():
            return None
        batch, self.fetching = self.fetching.result(), None
        self.is_over = batch is None
        return batch

    def close(self) -> None:
        """Stops fetching."""
        if self.fetching is not None:
            self.fetching.cancel()

    async def _next(self) -> Prepared[Reply, Result] | None:
        return await anext(self._prepared, None)


async def _exchange(
    talk: Conversation[Reply, Result], stream: AsyncOpenStream[Any], ahead: _Ahead[Reply, Result], patience: Patience
) -> AsyncGenerator[Result, None]:
    """Takes replies as they come and sends while there is room, until all batches are answered."""
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
                tasks, timeout=patience.timeout_seconds if reading else None, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise patience.too_late()
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


async def _read(stream: AsyncOpenStream[M], patience: Patience) -> M:
    try:
        async with asyncio.timeout(patience.timeout_seconds):  # wait_for of Python 3.11 may lose a cancellation
            return await stream.read()
    except TimeoutError as exc:
        raise patience.too_late() from exc


async def _each(batches: Batches) -> AsyncIterator[Any]:
    if isinstance(batches, AsyncIterable):
        async for batch in batches:
            yield batch
    else:
        for batch in batches:
            yield batch
