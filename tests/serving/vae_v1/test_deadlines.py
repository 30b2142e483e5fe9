"""One timer for many deadlines."""

import asyncio
import time

from serving.vae_v1.deadlines import DeadlineTimer


def test_it_rings_at_the_earliest_deadline_and_can_be_set_again() -> None:
    async def play() -> None:
        rung = asyncio.Event()
        timer = DeadlineTimer(rung.set)
        earliest = time.monotonic() + 0.02
        for deadline in (earliest + 1000, earliest, earliest + 2000):
            timer.set(deadline)
        await rung.wait()
        assert earliest <= time.monotonic() < earliest + 100
        rung.clear()
        timer.set(time.monotonic())
        await rung.wait()

    asyncio.run(play())


def test_one_that_is_stopped_is_silent() -> None:
    async def play() -> None:
        rung = asyncio.Event()
        timer = DeadlineTimer(rung.set)
        timer.set(time.monotonic())
        timer.stop()
        await asyncio.sleep(0.02)
        assert not rung.is_set()

    asyncio.run(play())


def test_a_deadline_that_no_clock_can_count_to() -> None:
    async def play() -> None:
        timer = DeadlineTimer(lambda: None)
        timer.set(1e300)
        timer.stop()

    asyncio.run(play())
