"""When a free device lets the event loop turn, and when it does not."""

import asyncio

from serving.batching.gathering import Gathering


async def _turns(gathering: Gathering, *, arriving: int = 0) -> int:
    """Returns for how many turns a device waits while so many calls come, one a turn."""
    turns = 0

    def may_wait() -> bool:
        nonlocal turns
        turns += 1
        if turns <= arriving:
            gathering.count_call()
        return True

    await gathering.catch_up(may_wait)
    return turns


def test_waits_until_the_front_brings_no_more() -> None:
    quiet = asyncio.run(_turns(Gathering(8)))
    assert asyncio.run(_turns(Gathering(8), arriving=5)) == quiet + 5


def test_does_not_wait_without_end() -> None:
    assert asyncio.run(_turns(Gathering(8), arriving=10_000)) < 1000


def test_a_lone_caller_is_spared_but_now_and_then() -> None:
    gathering = Gathering(8)
    for _ in range(60):
        asyncio.run(_turns(gathering))
        gathering.learn(1)
    waited = [asyncio.run(_turns(gathering)) > 0 for _ in range(64)]
    assert 1 <= sum(waited) <= 8


def test_a_crowd_is_noticed_at_the_first_try() -> None:
    gathering = Gathering(8)
    for _ in range(60):
        asyncio.run(_turns(gathering))
        gathering.learn(1)
    while not asyncio.run(_turns(gathering)):
        pass
    gathering.learn(8)
    assert not gathering.skips_waiting
