"""Who waits for room, in what order."""

import asyncio

import pytest

from serving.batching.waiting_room import WaitingRoom
from vaeserve.errors import DeadlinePassed


def test_the_first_is_not_passed_by_those_who_need_less() -> None:
    async def scenario() -> None:
        room, free, order = WaitingRoom(), 0, []

        async def enter(name: str, need: int) -> None:
            await room.wait(lambda: free >= need, None)
            order.append(name)

        tasks = [asyncio.create_task(enter(name, need)) for name, need in (("large", 5), ("small", 1))]
        await asyncio.sleep(0)
        assert room.has_waiters
        free = 1
        room.wake_first()
        for _ in range(5):  # more turns than either needs to go on
            await asyncio.sleep(0)
        assert order == []
        free = 5
        room.wake_first()
        await asyncio.gather(*tasks)
        assert order == ["large", "small"]
        assert not room.has_waiters

    asyncio.run(scenario())


def test_who_leaves_or_is_late_makes_way() -> None:
    async def scenario() -> None:
        room, is_free = WaitingRoom(), False
        gone = asyncio.create_task(room.wait(lambda: False, None))
        late = asyncio.create_task(room.wait(lambda: False, 0.01))
        last = asyncio.create_task(room.wait(lambda: is_free, None))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(DeadlinePassed):
            await late
        is_free = True
        room.wake_first()
        await asyncio.wait_for(last, 10)

    asyncio.run(scenario())
