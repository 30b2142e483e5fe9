"""What clients do over streams, against a real server: long jobs, and calls that share a stream."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import numpy as np
import pytest

from tests.support.servers import RunningServer, StartServer, start, until_in_flight
from vaeserve import AsyncClient, Client
from vaeserve.errors import CallError, InvalidInput
from vaeserve.package.row_spec import Array

if TYPE_CHECKING:
    from tests.vaeserve.conftest import Server

Result = TypeVar("Result")

DATA = np.random.default_rng(0).integers(0, 17, (2000, 4, 4, 1), np.uint8)
LATENT = np.random.default_rng(1).normal(size=(1, 3)).astype(np.float32)
WRONG = np.full((2, 4, 4, 1), 99, np.uint8)
BUSY_SECONDS = 3.0  # that a first message may take where a machine does other work too


@pytest.fixture(scope="module")
def target(tiny: Path) -> Iterator[str]:
    """A real server, whose limit on a call is small."""
    running = start(tiny, "--call-rows", "100")
    yield running.target
    running.stop()


Stream = Callable[[str, str, tuple[Any, ...], dict[str, Any]], Iterator[Any]]


def blocking(target: str, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Iterator[Any]:
    with Client(target, timeout_seconds=20) as client:
        yield from getattr(client, method)(*arguments, **options)


def awaited(target: str, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Iterator[Any]:
    """Iterates an AsyncClient's stream from outside of its loop."""
    with asyncio.Runner() as runner:
        client = AsyncClient(target, timeout_seconds=20)

        async def begin() -> AsyncIterator[Any]:
            return aiter(getattr(client, method)(*arguments, **options))

        results = runner.run(begin())
        try:
            while (result := runner.run(_next(results))) is not None:
                yield result
        finally:
            runner.run(client.close())


async def _next(results: AsyncIterator[Any]) -> object:
    return await anext(results, None)


both = pytest.mark.parametrize("stream", [blocking, awaited])


def batches(*sizes: int) -> list[Array]:
    ends = np.cumsum(sizes)
    return [DATA[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def latents(results: Iterable[Any]) -> Array:
    return np.concatenate([result.latent for result in results])


@both
def test_batches_come_back_in_order_as_single_calls_would(target: str, stream: Stream) -> None:
    sizes = (1, 250, 3, 1000, 1)  # the server takes 100 rows a call
    encoded = list(stream(target, "encode_stream", (batches(*sizes),), {}))
    assert [len(result.latent) for result in encoded] == list(sizes)
    decoded = list(stream(target, "decode_stream", (iter(encoded),), {"output": "expectation"}))
    with Client(target) as client:
        whole = client.encode(DATA[: sum(sizes)])
        np.testing.assert_array_equal(latents(encoded), whole.latent)
        np.testing.assert_array_equal(
            np.concatenate([result.output for result in decoded]), client.decode(whole, output="expectation").output
        )
    assert list(stream(target, "encode_stream", ([],), {})) == []


@both
def test_a_draw_goes_on_from_batch_to_batch(target: str, stream: Stream) -> None:
    drawn = list(
        stream(target, "encode_stream", (batches(5, 150, 45),), {"output": "sample", "seed": 4, "first_row": 9})
    )
    with Client(target) as client:
        whole = client.encode(DATA[:200], output="sample", seed=4, first_row=9)
    np.testing.assert_array_equal(latents(drawn), whole.latent)
    chosen = {result.seed for result in stream(target, "encode_stream", (batches(5, 5),), {"output": "sample"})}
    assert len(chosen) == 1


@both
def test_batches_are_reconstructed_as_one_call_would(target: str, stream: Stream) -> None:
    options = {"latent": "sample", "seed": 4, "first_row": 9, "output": "expectation"}
    pieces = list(stream(target, "reconstruct_stream", (batches(5, 150, 45),), options))
    assert [len(piece.elbo) for piece in pieces] == [5, 150, 45]
    with Client(target) as client:
        whole = client.reconstruct(DATA[:200], latent="sample", seed=4, first_row=9, output="expectation")
    for name in ("output", "elbo", "kl", "log_likelihood", "squared_error"):
        joined = np.concatenate([getattr(piece, name) for piece in pieces])
        np.testing.assert_array_equal(joined, getattr(whole, name), name)


@both
def test_a_wrong_batch_raises_in_its_turn(target: str, stream: Stream) -> None:
    first, second = batches(150, 5)
    results = stream(target, "encode_stream", ([first, second, WRONG, first],), {})
    assert [len(next(results).latent), len(next(results).latent)] == [150, 5]
    with pytest.raises(InvalidInput, match=r"data: 99 in row 0 at \[0, 0, 0\] must lie in \[0, 16\]"):
        next(results)
    results = stream(target, "encode_stream", ([first, [["a"]]],), {})
    assert len(next(results).latent) == 150
    with pytest.raises(InvalidInput, match="must hold numbers"):
        next(results)


@both
def test_what_the_server_refuses_raises_in_its_turn(target: str, stream: Stream) -> None:
    (encoded,) = stream(target, "encode_stream", (batches(3),), {})
    stranger = encoded._replace(fingerprint="f" * 64)
    results = stream(target, "decode_stream", ([encoded, stranger, encoded],), {})
    assert len(next(results).output) == 3
    with pytest.raises(CallError, match="FAILED_PRECONDITION: the latents come from pair ffff") as refused:
        next(results)
    assert refused.value.reason == "FINGERPRINT_MISMATCH"


class OtherServiceFailed(grpc.RpcError):
    """What the stub of another service raises, for example the one that the batches come from."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "the other service is away"

    def trailing_metadata(self) -> tuple[()]:
        return ()


@both
@pytest.mark.parametrize("error", [OtherServiceFailed(), TimeoutError("the database is slow")])
def test_an_error_of_the_callers_own_batches_reaches_the_caller(target: str, stream: Stream, error: Exception) -> None:
    def batches() -> Iterator[Array]:
        yield DATA[:2]
        raise error

    with pytest.raises(type(error)) as raised:
        list(stream(target, "encode_stream", (batches(),), {}))
    assert raised.value is error


@both
def test_batches_are_not_taken_far_ahead(target: str, stream: Stream) -> None:
    taken = 0

    def endless() -> Iterator[Array]:
        nonlocal taken
        while True:
            taken += 1
            yield DATA[:1]

    results = stream(target, "encode_stream", (endless(),), {})
    for _ in range(3):
        next(results)
    assert taken < 300
    results.close()  # type: ignore[attr-defined]  # both are generators


@both
def test_sample_stream_gives_the_rows_of_sample(target: str, stream: Stream) -> None:
    options = {"seed": 7, "first_row": 30, "temperature": 0.5, "include_latent": True}
    pieces = list(stream(target, "sample_stream", (950,), {**options, "message_rows": 90}))
    assert [piece.first_row for piece in pieces] == list(range(30, 980, 90))
    with Client(target) as client:
        whole = client.sample(950, **options)  # type: ignore[arg-type]
    np.testing.assert_array_equal(latents(pieces), whole.latent)
    np.testing.assert_array_equal(np.concatenate([piece.output for piece in pieces]), whole.output)


def test_the_wrong_options_are_refused_before_anything_is_sent() -> None:
    wrong: list[Callable[[Any], object]] = [
        lambda client: client.encode_stream([], output="median"),
        lambda client: client.encode_stream([], first_row=3),
        lambda client: client.decode_stream([], version=-1),
        lambda client: client.sample_stream(0),
        lambda client: client.sample_stream(1, message_rows=-1),
    ]
    for client in (Client("127.0.0.1:1"), AsyncClient("127.0.0.1:1")):
        for use in wrong:
            with pytest.raises(InvalidInput):
                use(client)


@both
def test_a_server_that_goes_while_nothing_is_asked_of_it_loses_nothing(
    start_server: StartServer, port: str, stream: Stream
) -> None:
    server = start_server("--port", port)

    def batches() -> Iterator[np.ndarray]:
        yield DATA[:1]
        time.sleep(0.3)  # for the first answer to arrive, so that it is taken before another batch is
        yield DATA[:2]
        yield DATA[:3]

    results = stream(server.target, "encode_stream", (batches(),), {})
    first = next(results)
    time.sleep(0.3)  # for the answer to what was sent to arrive
    server.stop()
    start_server("--port", port)
    time.sleep(0.3)  # for the news of the broken stream to arrive
    assert [len(one.latent) for one in (first, *results)] == [1, 2, 3]


@both
def test_long_jobs_outlive_their_server(start_server: StartServer, port: str, stream: Stream) -> None:
    server = start_server("--port", port)
    everything = np.resize(DATA, (16_000, 4, 4, 1))
    jobs = [everything[start : start + 20] for start in range(0, len(everything), 20)]
    options: dict[str, Any] = {"seed": 3, "include_latent": True}
    encoding = stream(server.target, "encode_stream", (jobs,), {})
    drawing = stream(server.target, "sample_stream", (16_000,), {**options, "message_rows": 20})
    encoded, drawn = ([next(results) for _ in range(20)] for results in (encoding, drawing))
    server.process.kill()
    server.process.wait()
    again = threading.Thread(target=start_server, args=("--port", port))
    again.start()
    encoded.extend(encoding)
    drawn.extend(drawing)
    again.join()
    with Client(server.target) as client:
        np.testing.assert_array_equal(latents(encoded), client.encode(everything).latent)
        np.testing.assert_array_equal(latents(drawn), client.sample(16_000, **options).latent)


@both
def test_a_server_that_is_gone_for_good_is_not_waited_for_without_end(
    start_server: StartServer, stream: Stream
) -> None:
    server = start_server()
    options = {"timeout_seconds": BUSY_SECONDS, "message_rows": 64}  # a batch: the first message comes soon
    drawn = stream(server.target, "sample_stream", (10**9,), options)
    next(drawn)
    server.process.kill()
    server.process.wait()  # or a busy machine lets the stream fall silent before it breaks
    with pytest.raises(CallError, match=r"UNAVAILABLE: 127\.0\.0\.1:.* cannot be reached"):
        list(drawn)


@both
def test_a_silent_server_is_not_waited_for_without_end(start_server: StartServer, stream: Stream) -> None:
    server = start_server()
    jobs: list[tuple[str, object, dict[str, int]]] = [
        ("encode_stream", [DATA[:50]] * 50_000, {}),
        ("sample_stream", 10**9, {"message_rows": 64}),  # a batch: the first message comes soon
    ]
    for method, job, options in jobs:
        results = stream(server.target, method, (job,), {"timeout_seconds": BUSY_SECONDS, **options})
        next(results)
        os.kill(server.process.pid, signal.SIGSTOP)
        with pytest.raises(CallError, match=r"DEADLINE_EXCEEDED: no answer from .* within"):
            list(results)
        os.kill(server.process.pid, signal.SIGCONT)


def test_closing_ends_a_stream(target: str) -> None:
    client = Client(target)
    results = client.sample_stream(10**9)
    next(results)
    client.close()
    with pytest.raises(CallError, match="CANCELLED: the client is closed"):
        list(results)

    async def run() -> None:
        client = AsyncClient(target)
        results = client.encode_stream(DATA[:1] for _ in range(10**6))
        await anext(results)
        await client.close()
        async for _ in results:
            pass

    with pytest.raises(CallError, match="CANCELLED: the client is closed"):
        asyncio.run(run())


def sharing(target: str, use: Callable[[AsyncClient], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        async with AsyncClient(target, share_stream=True, timeout_seconds=20) as client:
            await client.get_model()
            return await use(client)

    return asyncio.run(run())


def test_calls_that_share_a_stream_get_what_they_would_alone(target: str) -> None:
    async def use(client: AsyncClient) -> tuple[Any, Any]:
        calls = [client.encode(DATA[start : start + 2]) for start in range(0, 400, 2)]
        encoded = await asyncio.gather(*calls, client.encode(DATA[:350]))
        return encoded, await asyncio.gather(*(client.decode(one) for one in encoded))

    encoded, decoded = sharing(target, use)
    with Client(target) as client:
        alone = client.encode(DATA[:400])
        np.testing.assert_array_equal(latents(encoded[:-1]), alone.latent)
        np.testing.assert_array_equal(encoded[-1].latent, alone.latent[:350])
        output = np.concatenate([one.output for one in decoded[:-1]])
        np.testing.assert_array_equal(output, client.decode(alone).output)
    assert max(one.timing.batch_rows for one in decoded) > 30


def test_calls_of_every_verb_share_one_stream(target: str) -> None:
    async def use(client: AsyncClient) -> tuple[Any, ...]:
        answers = await asyncio.gather(
            client.encode(DATA[:3]), client.decode(LATENT), client.sample(5, seed=2), client.reconstruct(DATA[:4])
        )
        assert client._shared is not None
        return answers

    encoded, decoded, sampled, reconstructed = sharing(target, use)
    with Client(target) as client:
        np.testing.assert_array_equal(encoded.latent, client.encode(DATA[:3]).latent)
        np.testing.assert_array_equal(decoded.output, client.decode(LATENT).output)
        np.testing.assert_array_equal(sampled.output, client.sample(5, seed=2).output)
        np.testing.assert_array_equal(reconstructed.elbo, client.reconstruct(DATA[:4]).elbo)


@pytest.mark.parametrize("step", ["take_calls", "answer_of"])
def test_a_bug_in_a_shared_stream_ends_its_calls(target: str, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def broken(_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(f"vaeserve.client.shared_stream.{step}", broken)

    async def use(client: AsyncClient) -> None:
        with pytest.raises(CallError, match=r"INTERNAL: the shared stream failed: .*a bug.*This is a bug"):
            await client.decode(LATENT)

    sharing(target, use)


def test_a_call_after_the_reader_of_a_shared_stream_was_cancelled(target: str) -> None:
    async def use(client: AsyncClient) -> None:
        before = asyncio.all_tasks()
        await client.decode(LATENT)
        for task in asyncio.all_tasks() - before:  # what a program does that clears up after itself
            task.cancel()
        assert (await client.decode(LATENT)).output.shape == (1, 4, 4, 1)

    sharing(target, use)


def test_small_calls_share_a_stream_and_large_ones_do_not(server: "Server") -> None:
    async def use(client: AsyncClient) -> None:
        server.script.model.limits.call_rows = 10_000
        await client.get_model()
        await client.decode(np.zeros((1, 2), np.float32))
        assert len(server.script.requests("CallStream")) == 1
        assert len((await client.decode(np.zeros((6000, 2), np.float32))).output) == 6000
        assert len(server.script.requests("CallStream")) == 1

    sharing(server.target, use)


def test_an_error_is_its_own_calls_and_the_same_as_alone(target: str) -> None:
    uses: list[Callable[[AsyncClient], Awaitable[Any]]] = [
        lambda client: client.decode(LATENT, model="nobody"),
        lambda client: client.decode(LATENT, fingerprint="f" * 64),
        lambda client: client.encode(WRONG),
    ]

    async def collect(client: AsyncClient) -> list[Any]:
        sound = [client.decode(LATENT) for _ in range(5)]
        return await asyncio.gather(*(use(client) for use in uses), *sound, return_exceptions=True)

    async def alone() -> list[Any]:
        async with AsyncClient(target) as client:
            return await collect(client)

    shared, unary = sharing(target, collect), asyncio.run(alone())
    for got, expected in zip(shared[:3], unary[:3], strict=True):
        assert isinstance(got, CallError | InvalidInput)
        assert (type(got), str(got), vars(got)) == (type(expected), str(expected), vars(expected))
    for got in shared[3:]:
        np.testing.assert_array_equal(got.output, unary[-1].output)


def test_cancelling_a_call_leaves_those_beside_it_alone(start_server: StartServer, port: str) -> None:
    server = start_server("--metrics-port", port, "--wait-milliseconds", "1000", "--batch-rows", "10000")

    async def use(client: AsyncClient) -> list[Any]:
        calls = [asyncio.create_task(client.decode(LATENT)) for _ in range(20)]
        await asyncio.to_thread(until_in_flight, port, 20)
        for call in calls[::2]:
            call.cancel()
        return await asyncio.gather(*calls, return_exceptions=True)

    results = sharing(server.target, use)
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    assert {result.timing.batch_rows for result in results[1::2]} == {10}


def test_closing_gives_each_call_an_error_of_its_own(start_server: StartServer, port: str) -> None:
    server = start_server("--metrics-port", port, "--wait-milliseconds", "1000", "--batch-rows", "10000")

    async def use(client: AsyncClient) -> list[Any]:
        calls = [asyncio.create_task(client.decode(LATENT)) for _ in range(2)]
        await asyncio.to_thread(until_in_flight, port, 2)
        await client.close()
        return await asyncio.gather(*calls, return_exceptions=True)

    one, other = sharing(server.target, use)
    assert str(one) == str(other) == "CANCELLED: the client is closed"
    assert one is not other  # or each caller would add to the traceback of the other


def test_a_deadline_is_its_own_calls(start_server: StartServer) -> None:
    server = start_server()

    async def use(client: AsyncClient) -> None:
        os.kill(server.process.pid, signal.SIGSTOP)
        patient = asyncio.create_task(client.decode(LATENT))
        with pytest.raises(CallError, match=r"DEADLINE_EXCEEDED: no answer from .* within 0.2 s"):
            await client.decode(LATENT, timeout_seconds=0.2)  # the server answers nobody before it goes on
        os.kill(server.process.pid, signal.SIGCONT)
        assert (await patient).output.shape == (1, 4, 4, 1)

    sharing(server.target, use)


def test_calls_that_share_a_stream_survive_a_restart(start_server: StartServer, port: str) -> None:
    server = start_server("--port", port)
    restarted: list[RunningServer] = []

    async def use(client: AsyncClient) -> None:
        await client.decode(LATENT)
        server.process.kill()
        server.process.wait()
        restarted.append(await asyncio.to_thread(start_server, "--port", port))
        results = await asyncio.gather(*(client.decode(LATENT) for _ in range(20)))
        assert len(results) == 20
        restarted[0].process.kill()
        restarted[0].process.wait()
        with pytest.raises(CallError, match="UNAVAILABLE"):
            await client.decode(LATENT)

    sharing(server.target, use)


def test_a_full_queue_is_tried_again(start_server: StartServer) -> None:
    server = start_server("--queue-rows", "20", "--call-rows", "20", "--wait-milliseconds", "20")

    async def use(client: AsyncClient) -> None:
        results = await asyncio.gather(*(client.decode(np.repeat(LATENT, 10, 0)) for _ in range(30)))
        assert len(results) == 30

    sharing(server.target, use)


def test_closing_ends_calls_that_share_a_stream(start_server: StartServer, port: str) -> None:
    server = start_server("--metrics-port", port, "--wait-milliseconds", "1000", "--batch-rows", "10000")

    async def use(client: AsyncClient) -> None:
        call = asyncio.create_task(client.decode(LATENT))
        await asyncio.to_thread(until_in_flight, port, 1)
        await client.close()
        for late in (call, client.decode(LATENT)):
            with pytest.raises(CallError, match="CANCELLED: the client is closed"):
                await late

    sharing(server.target, use)
