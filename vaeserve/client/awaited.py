"""AsyncClient: what Client does, awaited, and a few parts of a large call at once."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Self, Unpack

import grpc
import grpc.aio
import numpy.typing as npt
from google.protobuf.message import Message

from vaeserve.client import calls
from vaeserve.client.awaited_streams import AsyncStreamClient
from vaeserve.client.calls import Call, EncodeOutput, ReconstructLatent, Reply, Result
from vaeserve.client.channel import open_async_channel
from vaeserve.client.conversation import MESSAGE_BYTES, STREAMS, part_bytes
from vaeserve.client.description import Model, parse_model
from vaeserve.client.endpoint import Options, Plan
from vaeserve.client.failures import client_closed, pause_before_retry
from vaeserve.client.results import Decoded, DecodeOutput, Encoded, FloatType, Reconstructed, Sampled
from vaeserve.client.shared_stream import SharedStream
from vaeserve.errors import InvalidInput
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

if TYPE_CHECKING:
    from vaeserve.v1.vae_pb2_grpc import VaeServiceAsyncStub


class AsyncClient(AsyncStreamClient):
    """Calls a server from one event loop at a time. A few of a large call's parts run at once.

    Takes and raises what `Client` does; every method is awaited. Once a loop is over the client may be used in another.

    Args:
        target: as of `Client`.
        share_stream: whether concurrent calls of `encode` and `decode` share one stream per RPC, which costs client and
            server far less a call. All of them then go to one server, whatever the target's name resolves to. Parts
            of more than 1 MiB still travel on their own.
        **options: as of `Client`.
    """

    _channel: grpc.aio.Channel | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _parallel_parts = 4  # enough to keep a server busy while replies travel, few enough to leave room for others

    def __init__(self, target: str, *, share_stream: bool = False, **options: Unpack[Options]) -> None:
        super().__init__(target, **options)
        self._arguments["share_stream"] = share_stream
        self._share_stream = share_stream
        self._shared: dict[str, SharedStream[Any]] = {}

    async def encode(
        self,
        data: npt.ArrayLike,
        *,
        output: EncodeOutput = "mean",
        seed: int | None = None,
        first_row: int = 0,
        dtype: FloatType = "float32",
        model: str = "",
        version: int = 0,
        timeout_seconds: float | None = None,
    ) -> Encoded:
        """As `Client.encode`, awaited."""
        call = calls.encode(
            data, output=output, seed=seed, first_row=first_row, dtype=dtype, model=model, version=version
        )
        return await self._call(call, timeout_seconds)

    async def decode(
        self,
        latent: npt.ArrayLike | Encoded,
        *,
        output: DecodeOutput = "data",
        fingerprint: str | None = None,
        dtype: FloatType = "float32",
        model: str = "",
        version: int = 0,
        timeout_seconds: float | None = None,
    ) -> Decoded:
        """As `Client.decode`, awaited."""
        call = calls.decode(latent, output=output, fingerprint=fingerprint, dtype=dtype, model=model, version=version)
        return await self._call(call, timeout_seconds)

    async def sample(
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
        model: str = "",
        version: int = 0,
        timeout_seconds: float | None = None,
    ) -> Sampled:
        """As `Client.sample`, awaited."""
        call = calls.sample(
            count,
            seed=seed,
            first_row=first_row,
            temperature=temperature,
            prior=prior,
            output=output,
            include_latent=include_latent,
            dtype=dtype,
            model=model,
            version=version,
        )
        return await self._call(call, timeout_seconds)

    async def reconstruct(
        self,
        data: npt.ArrayLike,
        *,
        latent: ReconstructLatent = "mean",
        seed: int | None = None,
        first_row: int = 0,
        output: DecodeOutput = "data",
        dtype: FloatType = "float32",
        model: str = "",
        version: int = 0,
        timeout_seconds: float | None = None,
    ) -> Reconstructed:
        """As `Client.reconstruct`, awaited."""
        call = calls.reconstruct(
            data,
            latent=latent,
            seed=seed,
            first_row=first_row,
            output=output,
            dtype=dtype,
            model=model,
            version=version,
        )
        return await self._call(call, timeout_seconds)

    async def get_model(self, model: str = "", version: int = 0, *, timeout_seconds: float | None = None) -> Model:
        """As `Client.get_model`, awaited."""
        route = calls.route(model, version)
        request = pb.GetModelRequest(model=route.model, version=route.version)
        return self._remember(route, await self._send(self._stub.GetModel, request, self._seconds(timeout_seconds)))

    async def list_models(self, *, timeout_seconds: float | None = None) -> list[Model]:
        """As `Client.list_models`, awaited."""
        reply = await self._send(self._stub.ListModels, pb.ListModelsRequest(), self._seconds(timeout_seconds))
        return [parse_model(model) for model in reply.models]

    async def close(self) -> None:
        """Closes the connection; calls in progress and later ones fail with CANCELLED."""
        self._closed = True
        if self._channel is None or self._loop is not asyncio.get_running_loop():
            return  # of a loop that is gone nothing is left to close
        for shared in self._shared.values():
            await shared.close(client_closed())
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def _stub(self) -> "VaeServiceAsyncStub":
        """Made by the first call in each event loop.

        Raises:
            CallError: the client is closed.
            InvalidInput: another event loop is using it.
        """
        if self._closed:
            raise client_closed()
        loop = asyncio.get_running_loop()
        if self._channel is None or self._loop is not loop:
            if self._loop is not None and self._loop.is_running():
                raise InvalidInput("client", "is in use by another event loop: make one for each")
            self._loop, self._channel = loop, open_async_channel(self._connection)
            self._shared = {}
        return VaeServiceStub(self._channel)

    async def _call(self, call: Call[Reply, Result], timeout_seconds: float | None) -> Result:
        seconds = self._seconds(timeout_seconds)
        plan = self._plan(call, seconds)
        if plan is None:
            plan = self._plan_for(await self.get_model(*call.route, timeout_seconds=seconds), call, seconds)
        rpc = self._rpc(call.method, plan.model)
        with self._doubting(call.route):
            return self._join(call, plan.model, await self._send_all(rpc, plan, seconds))

    def _rpc(self, method: str, model: Model) -> Callable[..., Awaitable[Any]]:
        """Returns what sends a request of an RPC: on its own, or over the stream that calls share."""
        unary: Callable[..., Awaitable[Any]] = getattr(self._stub, method)
        kind = STREAMS.get(method) if self._share_stream else None
        if kind is None:
            return unary
        if method not in self._shared:
            self._shared[method] = SharedStream(kind, getattr(self._stub, kind.method))
        shared = self._shared[method]

        def send(request: Message, **options: Any) -> Awaitable[Any]:  # noqa: ANN401, as gRPC's own stubs have it
            return (shared if part_bytes(request, model) <= MESSAGE_BYTES else unary)(request, **options)

        return send

    async def _send_all(self, rpc: Callable[..., Awaitable[Reply]], plan: Plan, seconds: float) -> list[Reply]:
        """Returns the replies in the order of the requests; a few requests are on their way at once."""
        waiting = iter(plan.requests)
        first = list(itertools.islice(waiting, self._parallel_parts))
        if len(first) == 1:
            return [await self._send(rpc, first[0], seconds)]
        numbered = enumerate(itertools.chain(first, waiting))
        replies: dict[int, Reply] = {}

        async def send_waiting() -> None:
            for number, request in numbered:
                replies[number] = await self._send(rpc, request, seconds)
                plan.stride.learn(request, replies[number])

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
                return await rpc(request, timeout=deadline - time.monotonic(), metadata=self._connection.metadata)
            except grpc.RpcError as exc:
                pause = pause_before_retry(exc, self._connection.target, seconds, deadline)
            except (grpc.aio.UsageError, asyncio.CancelledError) as exc:
                task = asyncio.current_task()
                if not self._closed or (task is not None and task.cancelling()):
                    raise
                raise client_closed() from exc
            await asyncio.sleep(pause)
