"""Slots of a device: who gets them, in what order."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batching.device import Device


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 10))


async def _queue(device: Device, order: list[str], name: str, width: int, *, interactive: bool) -> "asyncio.Task[None]":
    async def use() -> None:
        await device.take(width, interactive=interactive)
        order.append(name)
        device.give(width)

    task = asyncio.create_task(use())
    await asyncio.sleep(0)
    return task


def test_interactive_work_goes_first_but_does_not_starve_the_rest() -> None:
    async def scenario() -> None:
        device, order = Device(), []  # type: Device, list[str]
        await device.take(1)
        tasks = [await _queue(device, order, "bulk", 1, interactive=False)]
        tasks += [await _queue(device, order, "interactive", 1, interactive=True) for _ in range(12)]
        device.give(1)
        await asyncio.gather(*tasks)
        assert order.index("bulk") == 8

    run(scenario)


def test_a_wide_batch_is_not_starved_by_narrow_ones() -> None:
    async def scenario() -> None:
        device, order = Device(slots=2), []  # type: Device, list[str]
        await device.take(1)
        tasks = [await _queue(device, order, "wide", 2, interactive=True)]
        tasks += [await _queue(device, order, "narrow", 1, interactive=True) for _ in range(3)]
        assert order == []
        device.give(1)
        await asyncio.gather(*tasks)
        assert order[0] == "wide"

    run(scenario)


def test_who_leaves_the_queue_leaves_no_hole() -> None:
    async def scenario() -> None:
        device, order = Device(), []  # type: Device, list[str]
        await device.take(1)
        gone, stays = [await _queue(device, order, name, 1, interactive=True) for name in ("gone", "stays")]
        gone.cancel()
        device.give(1)
        await stays
        assert order == ["stays"]
        await device.take(1)
        granted = await _queue(device, order, "granted", 1, interactive=True)
        device.give(1)
        granted.cancel()  # after its turn was granted, before it could use it
        with pytest.raises(asyncio.CancelledError):
            await granted
        await device.take(1)

    run(scenario)


Job = st.tuples(st.integers(1, 3), st.booleans(), st.booleans(), st.integers(0, 3))


@settings(deadline=None, max_examples=60)
@given(jobs=st.lists(Job, max_size=30), slots=st.integers(3, 5))
def test_slots_are_never_overdrawn_and_all_come_back(jobs: list[tuple[int, bool, bool, int]], slots: int) -> None:
    async def scenario() -> None:
        device, in_use = Device(slots), 0

        async def use(width: int, interactive: bool, turns: int) -> None:
            nonlocal in_use
            await device.take(width, interactive=interactive)
            in_use += width
            assert in_use <= slots
            try:
                for _ in range(turns):
                    await asyncio.sleep(0)
            finally:
                in_use -= width
                device.give(width)

        tasks = []
        for width, interactive, leaves, turns in jobs:
            tasks.append(asyncio.create_task(use(width, interactive, turns)))
            await asyncio.sleep(0)
            if leaves and in_use >= slots:
                tasks[-1].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
        await device.take(slots)
        device.close()

    run(scenario)
