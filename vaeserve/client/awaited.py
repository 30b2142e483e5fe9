"""AsyncClient: what Client does, awaited, with a few parts of a large call at once."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Self, Unpack

import grpc
import grpc.aio
import numpy.typing as npt
from google.protobuf.message import Message

from vaeserve.client import calls
from vaeserve.client.awaited_streams import AwaitedStreams, Batches
from vaeserve.client.call import PreparedCall, Reply, Result, as_route
from vaeserve.client.channel import Connection, open_async_channel
from vaeserve.client.description import Model, parse_model
from vaeserve.client.endpoint import CallPlan, Endpoint
from vaeserve.client.failures import client_closed, pause_before_retry
from vaeserve.client.options import ClientOptions, DecodeOptions, EncodeOptions, ReconstructOptions, SampleOptions
from vaeserve.client.results import Decoded, Encoded, Reconstructed, Sampled
from vaeserve.client.samples import Samples
from vaeserve.client.shared_stream import SharedStream
from vaeserve.client.stream_jobs import decode_job, encode_job, reconstruct_job
from vaeserve.client.stream_messages import MESSAGE_BYTES, part_bytes
from vaeserve.errors import InvalidInput
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

if TYPE_CHECKING:
    from vaeserve.v1.vae_pb2_grpc import VaeServiceAsyncStub

_PARALLEL_PARTS = 4  # enough to keep a server busy while replies travel, few enough to leave room for others


class AsyncClient:
    """Calls a server from one event loop at a time. A few of a large call's parts run at once.

    Takes and raises what `Client` does; every method is awaited. After one loop has ended, another may use the client,
    unless calls share a stream.

    Args:
        target: as of `Client`.
        share_stream: whether concurrent calls share one stream, which costs client and server far less per call. All
            of them then go to one server, whatever the target's name resolves to. Parts of more than 1 MiB still travel
            on their own.
        **options: as of `Client`.
    """

    def __init__(self, target: str, *, share_stream: bool = False, **options: Unpack[ClientOptions]) -> None:
        self._endpoint = Endpoint(target, _PARALLEL_PARTS, **options)
        self._channel: grpc.aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._share_stream = share_stream
        self._shared: SharedStream | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.connection.target!r})"

    def __getstate__(self) -> dict[str, object]:
        """Returns the constructor's arguments, from which another process makes its own client."""
        return {**self._endpoint.arguments, "share_stream": self._share_stream}

    def __setstate__(self, arguments: dict[str, Any]) -> None:
        self.__init__(**arguments)  # type: ignore[misc]  # a pickle holds what __getstate__ returned

    @property
    def connection(self) -> Connection:
        """How the server is reached, for callers that open their own channel."""
        return self._endpoint.connection

    async def encode(
        self, data: npt.ArrayLike, *, timeout_seconds: float | None = None, **options: Unpack[EncodeOptions]
    ) -> Encoded:
        """As `Client.encode`, awaited."""
        return await self._call(calls.encode(data, **options), timeout_seconds)

    async def decode(
        self, latent: npt.ArrayLike | Encoded, *, timeout_seconds: float | None = None, **options: Unpack[DecodeOptions]
    ) -> Decoded:
        """As `Client.decode`, awaited."""
        return await self._call(calls.decode(latent, **options), timeout_seconds)

    async def sample(
        self, count: int, *, timeout_seconds: float | None = None, **options: Unpack[SampleOptions]
    ) -> Sampled:
        """As `Client.sample`, awaited."""
        return await self._call(calls.sample(count, **options), timeout_seconds)

    async def reconstruct(
        self, data: npt.ArrayLike, *, timeout_seconds: float | None = None, **options: Unpack[ReconstructOptions]
    ) -> Reconstructed:
        """As `Client.reconstruct`, awaited."""
        return await self._call(calls.reconstruct(data, **options), timeout_seconds)

    def encode_stream(
        self, batches: Batches, *, timeout_seconds: float | None = None, **options: Unpack[EncodeOptions]
    ) -> AsyncIterator[Encoded]:
        """As `Client.encode_stream`, iterated with `async for`. Batches may come from an asynchronous iterable."""
        return self._streams.converse(encode_job(**options), batches, self._endpoint.seconds(timeout_seconds))

    def decode_stream(
        self, batches: Batches, *, timeout_seconds: float | None = None, **options: Unpack[DecodeOptions]
    ) -> AsyncIterator[Decoded]:
        """As `Client.decode_stream`, iterated with `async for`. Batches may come from an asynchronous iterable."""
        return self._streams.converse(decode_job(**options), batches, self._endpoint.seconds(timeout_seconds))

    def reconstruct_stream(
        self, batches: Batches, *, timeout_seconds: float | None = None, **options: Unpack[ReconstructOptions]
    ) -> AsyncIterator[Reconstructed]:
        """As `Client.reconstruct_stream`, iterated with `async for`. Batches may come from an asynchronous iterable."""
        return self._streams.converse(reconstruct_job(**options), batches, self._endpoint.seconds(timeout_seconds))

    def sample_stream(
        self,
        count: int,
        *,
        message_rows: int = 0,
        timeout_seconds: float | None = None,
        **options: Unpack[SampleOptions],
    ) -> AsyncIterator[Sampled]:
        """As `Client.sample_stream`, iterated with `async for`."""
        samples = Samples(count, message_rows, **options)
        return self._streams.receive_all(samples, self._endpoint.seconds(timeout_seconds))

    async def get_model(self, model: str = "", version: int = 0, *, timeout_seconds: float | None = None) -> Model:
        """As `Client.get_model`, awaited."""
        route = as_route(model, version)
        request = pb.GetModelRequest(model=route.model, version=route.version)
        return self._endpoint.remember(
            route, await self._send(self._stub.GetModel, request, self._endpoint.seconds(timeout_seconds))
        )

    async def list_models(self, *, timeout_seconds: float | None = None) -> list[Model]:
        """As `Client.list_models`, awaited."""
        reply = await self._send(self._stub.ListModels, pb.ListModelsRequest(), self._endpoint.seconds(timeout_seconds))
        return [parse_model(model) for model in reply.models]

    async def close(self) -> None:
        """Closes the connection; calls in progress and later ones fail with CANCELLED."""
        self._endpoint.is_closed = True
        if self._channel is None or self._loop is not asyncio.get_running_loop():
            return  # with its loop, the channel is gone too
        if self._shared is not None:
            await self._shared.close(client_closed)
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def _stub(self) -> "VaeServiceAsyncStub":
        """Stub of the running event loop's channel, made by the first call in that loop.

        Raises:
            CallError: the client is closed.
            InvalidInput: another event loop is using it, or has left its stream open.
        """
        if self._endpoint.is_closed:
            raise client_closed()
        loop = asyncio.get_running_loop()
        if self._channel is None or self._loop is not loop:
            if self._loop is not None and self._loop.is_running():
                raise InvalidInput("client", "is in use by another event loop: make one client for each loop")
            if self._shared is not None:  # gRPC would hand this loop the stream's last events, which it cannot deliver
                problem = "left a stream open in another event loop, which has ended: make one client for each loop"
                raise InvalidInput("client", f"{problem}, or do without share_stream")
            self._loop, self._channel = loop, open_async_channel(self._endpoint.connection)
        return VaeServiceStub(self._channel)

    @property
    def _streams(self) -> AwaitedStreams:
        """Made for each job: see `Client`."""
        return AwaitedStreams(self._endpoint, lambda: self._stub, self.get_model)

    async def _call(self, call: PreparedCall[Reply, Result], timeout_seconds: float | None) -> Result:
        seconds = self._endpoint.seconds(timeout_seconds)
        plan = self._endpoint.plan(call, seconds)
        if plan is None:
            plan = self._endpoint.plan_for(await self.get_model(*call.route, timeout_seconds=seconds), call, seconds)
        rpc = self._rpc(call.method, plan)
        with self._endpoint.doubting(call.route):
            return self._endpoint.join(call, plan.model, await self._send_all(rpc, plan, seconds))

    def _rpc(self, method: str, plan: CallPlan) -> Callable[..., Awaitable[Any]]:
        """Returns the function that sends a request: as a unary RPC, or over the stream that calls share."""
        unary: Callable[..., Awaitable[Any]] = getattr(self._stub, method)
        if not self._share_stream:
            return unary
        if self._shared is None:
            self._shared = SharedStream(self._stub.CallStream, self._endpoint.connection.metadata)
        shared, row = self._shared, plan.model.data.at(plan.size)

        def send(request: Message, **options: Any) -> Awaitable[Any]:  # noqa: ANN401, as gRPC's own stubs have it
            return (shared if part_bytes(request, row) <= MESSAGE_BYTES else unary)(request, **options)

        return send

    async def _send_all(self, rpc: Callable[..., Awaitable[Reply]], plan: CallPlan, seconds: float) -> list[Reply]:
        """Returns the replies, in the order of the requests. A few requests are on their way at once."""
        waiting = iter(plan.requests)
        first = list(itertools.islice(waiting, _PARALLEL_PARTS))
        if len(first) == 1:
            return [await self._send(rpc, first[0], seconds)]
        numbered = enumerate(itertools.chain(first, waiting))
        replies: dict[int, Reply] = {}

        async def send_waiting() -> None:
            for number, request in numbered:
                replies[number] = await self._send(rpc, request, seconds)
                plan.learn(request, replies[number])

        senders = [asyncio.create_task(send_waiting()) for _ in first]
        try:
            await asyncio.gather(*senders)
        finally:
            for sender in senders:
                sender.cancel()
            await asyncio.gather(*senders, return_exceptions=True)
        return [replies[number] for number in sorted(replies)]

    async def _send(self, rpc: Callable[..., Awaitable[Reply]], request: Message, seconds: float) -> Reply:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return await rpc(request, timeout=deadline - time.monotonic(), metadata=self._endpoint.metadata())
            except grpc.RpcError as exc:
                pause = pause_before_retry(exc, self._endpoint.connection.target, seconds, deadline)
            except (grpc.aio.UsageError, asyncio.CancelledError) as exc:
                task = asyncio.current_task()
                if not self._endpoint.is_closed or (task is not None and task.cancelling()):
                    raise
                raise client_closed() from exc
            await asyncio.sleep(pause)
