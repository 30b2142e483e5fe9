"""How long a device lets the event loop turn for calls that gRPC already holds."""

import asyncio
from collections.abc import Callable

from serving.batching.gathering import Gathering
from serving.in_flight import Calls


def _turns(*, arriving: int = 0, calls: Calls | None = None, on_turn: Callable[[int], None] = lambda turn: None) -> int:
    """Returns for how many turns a device waits while so many calls are queued, one a turn."""
    turns = 0

    async def wait() -> None:
        gathering = Gathering(calls or Calls(), quiet_turns=3)

        def may_wait() -> bool:
            nonlocal turns
            turns += 1
            on_turn(turns)
            if turns <= arriving:
                gathering.count_call()
            return True

        await gathering.catch_up(may_wait)

    asyncio.run(wait())
    return turns


def test_waits_until_no_more_calls_come() -> None:
    assert _turns(arriving=5) == _turns() + 5


def test_does_not_wait_without_end() -> None:
    assert _turns(arriving=10_000) < 1000


def test_a_call_that_arrives_counts_before_its_message_is_here() -> None:
    calls = Calls()
    assert _turns(calls=calls, on_turn=lambda turn: calls.open_unary() if turn <= 5 else None) == _turns() + 5
