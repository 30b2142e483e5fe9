"""One call: its messages, how it ends, and what its answer hears when the caller leaves."""

import asyncio

import grpc
import pytest

from serving.transport.context import Aborted, CallerLeft, Context
from serving.transport.front import Front
from serving.transport.status import Refusal
from tests.support.fronts import play_front, streaming, unary
from tests.support.servers import eventually

REFUSAL = Refusal(grpc.StatusCode.OUT_OF_RANGE, "too far, schön", ())


def test_messages_are_read_and_written_in_turn() -> None:
    async def echo(context: Context) -> None:
        while (message := await context.read()) is not None:
            await context.write(message[::-1])
        context.finish(b"end")

    async def scenario(channel: grpc.aio.Channel, _: Front) -> None:
        call = streaming(channel, "Echo")(iter([b"one", b"", b"three"]), timeout=60)
        assert [reply async for reply in call] == [b"eno", b"", b"eerht", b"end"]
        assert await call.code() == grpc.StatusCode.OK

    play_front(scenario, {"Echo": echo})


@pytest.mark.parametrize("timeout", [None, 60, 3e9])
def test_the_time_until_the_deadline(timeout: float | None) -> None:
    left = list[float | None]()

    async def look(context: Context) -> None:
        left.append(context.seconds_left)
        context.finish(b"")

    async def scenario(channel: grpc.aio.Channel, _: Front) -> None:
        await unary(channel, "Look")(b"", timeout=timeout)

    play_front(scenario, {"Look": look})
    [seconds] = left
    if timeout is None:
        assert seconds is None
    else:
        assert seconds is not None
        assert 0 < seconds <= timeout + 1  # gRPC sends it in whole units


def test_a_call_that_failed_reads_and_writes_no_more_and_keeps_its_first_error() -> None:
    ends, codes = list[type[Exception]](), list[object]()

    async def fail(context: Context) -> None:
        context.add_done_callback(lambda ended: codes.append(ended.code))
        reading = asyncio.ensure_future(context.read())
        await asyncio.sleep(0)
        context.fail(REFUSAL)
        context.fail(Refusal(grpc.StatusCode.INTERNAL, "another", ()))
        for work in (reading, context.read(), context.write(b"more")):
            with pytest.raises(Aborted) as ended:
                await work
            ends.append(ended.type)

    async def scenario(channel: grpc.aio.Channel, _: Front) -> None:
        call = unary(channel, "Fail")(b"", timeout=60, metadata=(("x-request-id", "mine"),))
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await call
        assert (failed.value.code(), failed.value.details()) == (REFUSAL.code, REFUSAL.message)
        assert ("x-request-id", "mine") in tuple(failed.value.trailing_metadata())
        await eventually(lambda: codes)

    play_front(scenario, {"Fail": fail})
    assert ends == [Aborted] * 3
    assert codes == [REFUSAL.code]


def test_a_caller_who_leaves_ends_the_answer_and_nothing_reaches_him() -> None:
    seen = list[object]()

    async def wait(context: Context) -> None:
        context.add_done_callback(lambda ended: seen.append(("done", ended.code)))
        await context.read()
        seen.append("read")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
        with pytest.raises(CallerLeft):
            await context.write(b"too late")
        assert await context.read() is None
        seen.append("written to nobody")

    async def scenario(channel: grpc.aio.Channel, _: Front) -> None:
        call = unary(channel, "Wait")(b"", timeout=60)
        waiting = asyncio.ensure_future(call)
        await eventually(lambda: "read" in seen)
        call.cancel()
        await asyncio.wait([waiting])
        await eventually(lambda: "written to nobody" in seen)

    play_front(scenario, {"Wait": wait})
    assert seen == ["read", ("done", None), "cancelled", "written to nobody"]


def test_who_stops_waiting_for_a_message_can_still_answer() -> None:
    async def give_up(context: Context) -> None:
        await context.read()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(context.read(), 0.01)
        context.finish(b"enough")

    async def scenario(channel: grpc.aio.Channel, _: Front) -> None:
        call = streaming(channel, "GiveUp")(timeout=60)
        await call.write(b"first")
        assert await call.read() == b"enough"
        assert await call.code() == grpc.StatusCode.OK

    play_front(scenario, {"GiveUp": give_up})
