"""AsyncClient alone, and what it has in common with Client."""

import asyncio
import inspect
import socket
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from vaeserve import AsyncClient, Client
from vaeserve.errors import CallError, InvalidInput

if TYPE_CHECKING:
    from tests.vaeserve.conftest import Hang, Server

Result = TypeVar("Result")

DIGITS = np.arange(20 * 64).reshape(20, 8, 8, 1) % 17


def awaited(server: "Server", use: Callable[[AsyncClient], Coroutine[Any, Any, Result]]) -> Result:
    async def run() -> Result:
        async with AsyncClient(server.target, timeout_seconds=20) as client:
            return await use(client)

    return asyncio.run(run())


def test_keeps_the_order_of_the_parts(server: "Server") -> None:
    pauses = iter([0.15, 0.1, 0.05])
    server.script.before = [lambda _: time.sleep(next(pauses))] * 3
    sampled = awaited(server, lambda client: client.sample(60, include_latent=True))
    assert sampled.latent is not None
    assert sampled.latent[:, 0].tolist() == list(range(60))


def test_does_what_the_client_does(server: "Server") -> None:
    async def use(client: AsyncClient) -> None:
        assert (await client.get_model()).name == "digits"
        assert len(await client.list_models()) == 1
        encoded = await client.encode(DIGITS, output="sample", seed=7)
        assert encoded.seed == 7
        assert (await client.decode(encoded)).output.shape == (20, 8, 8, 1)

    awaited(server, use)


def test_stops_its_other_parts_when_one_fails(server: "Server") -> None:
    server.script.before = [server.refuse(grpc.StatusCode.INTERNAL, "broken")]
    with pytest.raises(CallError, match="INTERNAL: broken"):
        awaited(server, lambda client: client.sample(800))
    assert len(server.script.requests("Sample")) < 100


def test_can_be_cancelled(server: "Server", hang: "Hang") -> None:
    server.script.before = [hang] * 4

    async def use(client: AsyncClient) -> None:
        await client.get_model()
        call = asyncio.create_task(client.sample(80))
        await asyncio.to_thread(hang.has_begun.wait)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        hang.end()
        assert (await client.sample(1)).output.shape[0] == 1

    awaited(server, use)


METHODS = ("encode", "decode", "sample", "reconstruct", "get_model", "list_models", "close")


@pytest.mark.parametrize("name", METHODS)
def test_the_two_clients_take_the_same_arguments(name: str) -> None:
    blocking, awaitable = getattr(Client, name), getattr(AsyncClient, name)
    assert inspect.signature(blocking) == inspect.signature(awaitable)
    assert blocking.__doc__
    assert awaitable.__doc__


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_unknown_options_are_refused_by_name(kind: type[Any]) -> None:
    for name in ("tokn", "parallel_parts"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
            kind("127.0.0.1:1", **{name: 1})
    client = kind("127.0.0.1:1")
    for method in ("encode_stream", "decode_stream", "reconstruct_stream"):
        with pytest.raises(TypeError, match=rf"^{method}\(\) got an unexpected keyword argument 'outptu'"):
            getattr(client, method)([], outptu="data")
    with pytest.raises(TypeError, match=r"^sample_stream\(\) got an unexpected keyword argument 'outptu'"):
        client.sample_stream(1, outptu="data")


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_client_that_nobody_holds_is_gone_at_once(kind: type[Any]) -> None:
    """With its connection: it does not wait for the collector of cycles."""
    client = kind("127.0.0.1:1")
    gone = weakref.ref(client)
    del client
    assert gone() is None


WRONG: list[Callable[[Any], Any]] = [
    lambda client: client.encode([["a"]]),
    lambda client: client.encode(DIGITS, output="median"),
    lambda client: client.decode([]),
    lambda client: client.sample(0),
    lambda client: client.sample(1, temperature="hot"),
    lambda client: client.sample(1, prior="\ud800"),
    lambda client: client.sample(1, model=b"\xff"),
    lambda client: client.sample(1, version=-1),
    lambda client: client.sample(1, timeout_seconds="soon"),
    lambda client: client.get_model(b"\xff"),
]


@pytest.mark.parametrize("use", WRONG)
def test_what_no_model_would_take_is_refused_without_a_server(use: Callable[[Any], Any]) -> None:
    with Client("127.0.0.1:1") as client, pytest.raises(InvalidInput):
        use(client)

    async def run() -> None:
        async with AsyncClient("127.0.0.1:1") as client:
            await use(client)

    with pytest.raises(InvalidInput):
        asyncio.run(run())


def test_nothing_connects_before_the_first_call() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        target = f"127.0.0.1:{listening.getsockname()[1]}"
        unused = AsyncClient(target)
        asyncio.run(unused.close())
        with Client(target), pytest.raises(TimeoutError):
            listening.accept()


USES: list[Callable[[Any], Any]] = [
    lambda client: client.sample(1),
    lambda client: client.get_model(),
    lambda client: client.list_models(),
]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("used_before", [True, False])
def test_a_closed_client_says_so(server: "Server", use: Callable[[Any], Any], used_before: bool) -> None:
    def close(client: Client) -> None:
        if used_before:
            client.sample(1)
        client.close()
        client.close()

    async def close_async(client: AsyncClient) -> None:
        if used_before:
            await client.sample(1)
        await client.close()
        await client.close()
        await use(client)

    client = Client(server.target)
    close(client)
    with pytest.raises(CallError, match="CANCELLED: the client is closed"):
        use(client)
    with pytest.raises(CallError, match="CANCELLED: the client is closed"):
        asyncio.run(close_async(AsyncClient(server.target)))


@pytest.mark.parametrize("rows", [1, 80])
def test_closing_ends_calls_in_progress(server: "Server", hang: "Hang", rows: int) -> None:
    server.script.before = [hang]
    client = Client(server.target)
    client.get_model()
    _after(hang.has_begun, client.close)
    with pytest.raises(CallError) as err:
        client.sample(rows)
    assert err.value.code == "CANCELLED"

    hang.has_begun.clear()
    server.script.before = [hang]

    async def run() -> None:
        client = AsyncClient(server.target)
        await client.get_model()
        call = asyncio.create_task(client.sample(rows))
        await asyncio.to_thread(hang.has_begun.wait)
        await client.close()
        await call

    with pytest.raises(CallError, match="CANCELLED: the client is closed"):
        asyncio.run(run())


def _after(event: threading.Event, do: Callable[[], None]) -> None:
    """Does something, on a thread, once an event has come."""

    def wait() -> None:
        event.wait(60)
        do()

    threading.Thread(target=wait).start()


def test_closing_ends_a_wait_for_the_next_try(server: "Server") -> None:
    delay = Duration(seconds=10)
    full = server.refuse(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "queue is full", error_details_pb2.RetryInfo(retry_delay=delay)
    )
    refused = threading.Event()

    def refuse(context: grpc.ServicerContext) -> None:
        refused.set()
        full(context)

    server.script.before = [refuse]
    client = Client(server.target)
    _after(refused, client.close)
    with pytest.raises(CallError, match="CANCELLED: the client is closed"):
        client.sample(1)
    refused.clear()
    server.script.before = [refuse]

    async def run() -> None:
        client = AsyncClient(server.target)
        call = asyncio.create_task(client.sample(1))
        await asyncio.to_thread(refused.wait)
        await asyncio.sleep(0.1)  # by when the client waits too, mostly; nobody can tell
        await client.close()
        await call

    with pytest.raises(CallError, match="CANCELLED: the client is closed"):
        asyncio.run(run())


def test_closing_hides_no_cancellation(server: "Server", hang: "Hang") -> None:
    server.script.before = [hang]

    async def run() -> None:
        client = AsyncClient(server.target)
        await client.get_model()
        call = asyncio.create_task(client.sample(1))
        await asyncio.to_thread(hang.has_begun.wait)
        call.cancel()
        await client.close()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(run())
