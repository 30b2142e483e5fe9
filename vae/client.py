"""Client and AsyncClient: two thin drivers of the operations in vae/calls.py.

    method (vae/methods.py) -> the model as last described -> requests (vae/calls.py) -> RPCs (here) -> one result

Both raise InvalidInput for what is wrong before anything is sent, CallError for what the server or the network answers.
UNAVAILABLE is retried by gRPC for about 3 s; RESOURCE_EXHAUSTED is retried here, after the time the server asks for.
"""

import asyncio
import functools
import itertools
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Self

import grpc
import grpc.aio
from google.protobuf.message import Message

from vae import calls, methods
from vae.calls import Operation, Reply, Result
from vae.description import Answer, Model, Route
from vae.endpoint import Endpoint
from vae.methods import Call, described_by
from vae.v1.vae_pb2_grpc import VaeServiceStub

_PARALLEL_PARTS = 4  # enough to keep a server busy while replies travel, few enough to leave room for others

Arguments = ParamSpec("Arguments")


def _blocking(method: Callable[Arguments, Call[Answer]]) -> "Callable[Concatenate[Client, Arguments], Answer]":
    def run(self: "Client", /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        call = method(*args, **kwargs)
        seconds = self._seconds(call.timeout_seconds)
        operation = self._catalogue.plan(call.route, call.build)
        if operation is None:
            operation = call.build(self.get_model(*call.route, timeout_seconds=seconds))
        with self._catalogue.doubting(call.route):
            answer = self._exchange(operation, seconds)
        return self._catalogue.compare(call.route, answer)

    return described_by(method, run)


def _awaitable(
    method: Callable[Arguments, Call[Answer]],
) -> "Callable[Concatenate[AsyncClient, Arguments], Coroutine[Any, Any, Answer]]":
    async def run(self: "AsyncClient", /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        call = method(*args, **kwargs)
        seconds = self._seconds(call.timeout_seconds)
        operation = self._catalogue.plan(call.route, call.build)
        if operation is None:
            operation = call.build(await self.get_model(*call.route, timeout_seconds=seconds))
        with self._catalogue.doubting(call.route):
            answer = await self._exchange(operation, seconds)
        return self._catalogue.compare(call.route, answer)

    return described_by(method, run)


class Client(Endpoint):
    """Calls a server from any number of threads. A large call's parts run one after another.

    Args:
        target: HOST:PORT, or any gRPC target, for example `dns:///host:port` or `unix:/path`.
        timeout_seconds: deadline of each request, its retries included, unless a call brings its own.
        token: bearer token; refused without TLS unless the target is this machine.
        tls: whether to use TLS; certificates imply it.
        root_certificates: PEM file of the authorities to trust instead of the system's.
        client_certificate: PEM file of the certificate chain to present.
        client_key: PEM file of its private key.

    Raises:
        InvalidInput: the options contradict each other, or a file cannot be read.
    """

    encode = _blocking(methods.encode)
    decode = _blocking(methods.decode)
    sample = _blocking(methods.sample)

    def get_model(self, model: str = "", version: int = 0, *, timeout_seconds: float | None = None) -> Model:
        """Describes one model, as it is now. Empty and 0 mean the server's default and the newest version."""
        route = Route(model, version)
        found = self._exchange(calls.get_model(route), self._seconds(timeout_seconds))
        return self._catalogue.remember(route, found)

    def list_models(self, *, timeout_seconds: float | None = None) -> list[Model]:
        """Describes every model, ordered by name, then version."""
        return self._exchange(calls.list_models(), self._seconds(timeout_seconds))

    def _exchange(self, operation: Operation[Any, Any, Result], seconds: float) -> Result:
        rpc = getattr(self._stub, operation.method)
        return operation.join([self._send(rpc, request, seconds) for request in operation.requests])

    def _send(self, rpc: Callable[..., Reply], request: Message, seconds: float) -> Reply:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return rpc(request, timeout=deadline - time.monotonic(), metadata=self._connection.metadata)
            except grpc.RpcError as exc:
                pause = self._pause(exc, seconds, deadline)
            time.sleep(pause)

    @functools.cached_property
    def _channel(self) -> grpc.Channel:
        target, credentials, options, _ = self._connection
        if credentials is None:
            return grpc.insecure_channel(target, options)
        return grpc.secure_channel(target, credentials, options)

    @functools.cached_property
    def _stub(self) -> VaeServiceStub:
        return VaeServiceStub(self._channel)

    def close(self) -> None:
        """Closes the connection; calls in progress fail with CANCELLED."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(Endpoint):
    """Calls a server from one event loop. A few of a large call's parts run at once.

    Takes and raises what `Client` does; every method is awaited.
    """

    encode = _awaitable(methods.encode)
    decode = _awaitable(methods.decode)
    sample = _awaitable(methods.sample)

    async def get_model(self, model: str = "", version: int = 0, *, timeout_seconds: float | None = None) -> Model:
        """Describes one model, as `Client.get_model` does."""
        route = Route(model, version)
        found = await self._exchange(calls.get_model(route), self._seconds(timeout_seconds))
        return self._catalogue.remember(route, found)

    async def list_models(self, *, timeout_seconds: float | None = None) -> list[Model]:
        """Describes every model, ordered by name, then version."""
        return await self._exchange(calls.list_models(), self._seconds(timeout_seconds))

    async def _exchange(self, operation: Operation[Any, Any, Result], seconds: float) -> Result:
        rpc = getattr(self._stub, operation.method)
        requests = iter(operation.requests)
        first = list(itertools.islice(requests, _PARALLEL_PARTS))
        if len(first) == 1:
            return operation.join([await self._send(rpc, first[0], seconds)])
        waiting = enumerate(itertools.chain(first, requests))
        replies: dict[int, Any] = {}

        async def send_waiting() -> None:
            for number, request in waiting:
                replies[number] = await self._send(rpc, request, seconds)

        senders = [asyncio.create_task(send_waiting()) for _ in first]
        try:
            await asyncio.gather(*senders)
        finally:
            for sender in senders:
                sender.cancel()
            await asyncio.gather(*senders, return_exceptions=True)
        return operation.join([replies[number] for number in sorted(replies)])

    async def _send(self, rpc: Callable[..., Awaitable[Reply]], request: Message, seconds: float) -> Reply:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return await rpc(request, timeout=deadline - time.monotonic(), metadata=self._connection.metadata)
            except grpc.RpcError as exc:
                pause = self._pause(exc, seconds, deadline)
            await asyncio.sleep(pause)

    @functools.cached_property
    def _channel(self) -> grpc.aio.Channel:  # made by the first call, in the loop that it runs in
        target, credentials, options, _ = self._connection
        if credentials is None:
            return grpc.aio.insecure_channel(target, options)
        return grpc.aio.secure_channel(target, credentials, options)

    @functools.cached_property
    def _stub(self) -> VaeServiceStub:
        return VaeServiceStub(self._channel)

    async def close(self) -> None:
        """Closes the connection; calls in progress are cancelled."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
