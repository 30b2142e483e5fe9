"""What is counted of calls: when one is alone, and when all have left."""

import asyncio

import pytest

from serving.in_flight import Calls
from vaeserve.errors import ShuttingDown


def test_a_call_is_lone_while_no_other_is_there_or_coming() -> None:
    calls = Calls()
    seen = [calls.is_lone]
    calls.open_unary()
    calls.begin_reading()
    calls.enter()
    seen.append(calls.is_lone)
    calls.end_reading()
    seen.append(calls.is_lone)
    calls.open_unary()
    seen.append(calls.is_lone)
    calls.close_unary(has_entered=False)
    calls.expect(1)
    seen.append(calls.is_lone)
    calls.stop_expecting(1)
    assert [*seen, calls.is_lone] == [False, False, True, False, False, True]


def test_a_call_of_a_stream_is_lone_too() -> None:
    calls = Calls()
    calls.open_stream()
    calls.enter()
    assert calls.is_lone
    assert calls.open == 1


def test_the_end_waits_for_calls_that_are_read_or_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.in_flight._QUIET_SECONDS", 0.0)

    async def run() -> None:
        calls = Calls()
        calls.begin_reading()
        finishing = asyncio.create_task(calls.finish(60))
        await asyncio.sleep(0)
        assert calls.is_closed
        with pytest.raises(ShuttingDown):
            calls.begin_reading()
        calls.enter()
        calls.end_reading()
        for _ in range(100):
            await asyncio.sleep(0)
        assert not finishing.done()
        calls.leave()
        await finishing

    asyncio.run(run())
