"""Parts that a slow model answers well within the deadline: by what the server says a row takes."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from vaeserve import AsyncClient, Client
from vaeserve.client import calls
from vaeserve.client.call import PreparedCall
from vaeserve.client.conversation import BatchCall, Conversation
from vaeserve.client.description import Model, parse_model
from vaeserve.client.failures import Patience
from vaeserve.client.stride import Stride, rows_of
from vaeserve.rows.noise import ROW_LIMIT
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb

if TYPE_CHECKING:
    from tests.vaeserve.conftest import Server

DATA = np.zeros((100, 8, 8, 1), np.uint8)
DEADLINE_SECONDS = 60.0
SLOW_MICROSECONDS = 700_000  # a row: 15 s, the quarter of a minute, hold 21 of them


def described(server: "Server", row_microseconds: int) -> Model:
    """Has a server describe a model of large calls, each row of which takes so long."""
    server.script.model.limits.call_rows = 1000
    server.script.model.execution.CopyFrom(
        pb.Execution(executors=1, threads=1, source="set", row_microseconds=row_microseconds)
    )
    return parse_model(server.script.model)


def sizes(server: "Server", method: str) -> list[int]:
    return [rows_of(request) for request in server.script.requests(method)]


def answer(request: Any, running_microseconds: int) -> pb.EncodeResponse:  # noqa: ANN401
    return pb.EncodeResponse(
        fingerprint="a" * 64,
        timing=pb.Timing(running_microseconds=running_microseconds),
        latent=to_message(np.zeros((rows_of(request), 2), np.float32)),
    )


@pytest.mark.parametrize(
    ("row_microseconds", "deadline_seconds", "expected"),
    [
        (SLOW_MICROSECONDS, DEADLINE_SECONDS, 21),
        (SLOW_MICROSECONDS, 0.1, 1),  # one row at least, whatever comes of it
        (1, 1e9, int(2.5e14)),
        (0, 1.0, ROW_LIMIT),  # a server that does not tell
    ],
)
def test_rows_that_are_answered_in_time(
    server: "Server", row_microseconds: int, deadline_seconds: float, expected: int
) -> None:
    assert Stride(described(server, row_microseconds), deadline_seconds).in_time == expected


def test_parts_side_by_side_share_the_time_unless_one_is_enough(server: "Server") -> None:
    stride = Stride(described(server, SLOW_MICROSECONDS), DEADLINE_SECONDS, parallel=4)
    assert [stride.rows(left) for left in (1, 21, 22, 100)] == [1, 21, 5, 5]


USES: list[tuple[str, Callable[[Any], Any]]] = [
    ("Encode", lambda client: client.encode(DATA)),
    ("Decode", lambda client: client.decode(np.zeros((100, 2), np.float32))),
    ("Sample", lambda client: client.sample(100)),
    ("Reconstruct", lambda client: client.reconstruct(DATA)),
]


@pytest.mark.parametrize(("method", "use"), USES)
def test_a_slow_models_parts_are_small(server: "Server", method: str, use: Callable[[Any], Any]) -> None:
    described(server, SLOW_MICROSECONDS)
    server.script.row_microseconds = SLOW_MICROSECONDS
    with Client(server.target, timeout_seconds=DEADLINE_SECONDS) as client:
        use(client)
    assert sizes(server, method) == [21, 21, 21, 21, 16]
    server.script.received.clear()

    async def awaited() -> None:
        async with AsyncClient(server.target, timeout_seconds=DEADLINE_SECONDS) as client:
            await use(client)

    asyncio.run(awaited())
    assert sorted(sizes(server, method)) == [*[5] * 16, 20]  # the rest fits one part


def test_parts_grow_and_shrink_as_the_answers_say(server: "Server") -> None:
    described(server, SLOW_MICROSECONDS)
    server.script.row_microseconds = SLOW_MICROSECONDS // 2
    with Client(server.target, timeout_seconds=DEADLINE_SECONDS) as client:
        client.encode(DATA)
        assert sizes(server, "Encode") == [21, 42, 37]
        server.script.received.clear()
        server.script.row_microseconds = 10 * SLOW_MICROSECONDS
        client.encode(DATA[:30])
    assert sizes(server, "Encode") == [21, 2, 2, 2, 2, 1]


def test_images_are_split_by_time_too(server: "Server") -> None:
    from vaeserve.rows.images import encode_images

    described(server, SLOW_MICROSECONDS)
    server.script.row_microseconds = SLOW_MICROSECONDS
    files = encode_images(DATA[:30], parse_model(server.script.model).data)
    with Client(server.target, timeout_seconds=DEADLINE_SECONDS) as client:
        client.encode(cast(Any, list(files)))
    assert sizes(server, "Encode") == [21, 9]


def test_a_stream_sends_no_more_than_is_answered_in_time(server: "Server") -> None:
    model = described(server, SLOW_MICROSECONDS)
    call: PreparedCall[Any, Any] = calls.encode(DATA)
    talk: Conversation[Any, Any] = Conversation(
        lambda call, model, replies: call.join(model, replies), Patience("nowhere", DEADLINE_SECONDS)
    )
    talk.add(BatchCall(call, model))
    unanswered: list[pb.Call] = []

    def sent() -> list[int]:
        message = talk.take_message()
        taken = [] if message is None else list(message.calls)
        unanswered.extend(taken)
        return [rows_of(one.encode) for one in taken]

    def answered() -> None:
        one = unanswered.pop(0)
        response = answer(one.encode, SLOW_MICROSECONDS * rows_of(one.encode))
        talk.receive(pb.CallStreamResponse(replies=[pb.Reply(id=one.id, encode=response)]))

    assert (sent(), sent(), talk.is_held) == ([21, 21], [], True)  # a part that runs, and one that follows it
    answered()
    assert (sent(), sent()) == ([21], [])
    talk.resend()  # the stream broke: all that is not answered goes again
    unanswered.clear()
    assert (sent(), sent()) == ([21, 21], [])
    for expected in ([21], [16], [], []):
        answered()
        assert sent() == expected
    (result,) = talk.results()
    assert (len(result.latent), talk.is_held) == (100, False)
