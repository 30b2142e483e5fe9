"""What the process is taken to need for itself."""

import asyncio

import pytest

from serving import heap
from serving.heap import Heap
from serving.held import Held


@pytest.mark.parametrize("is_still_read", [True, False])
def test_what_is_read_just_now_is_not_what_the_process_needs(
    monkeypatch: pytest.MonkeyPatch, is_still_read: bool
) -> None:
    size, looks = 0, 0
    monkeypatch.setattr(heap, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(heap, "resident_bytes", lambda: size)
    watched = Heap(Held(2**20))

    def is_quiet() -> bool:
        nonlocal looks
        looks += 1
        return looks == 1 or not is_still_read  # at the first look the message is too young to be slow

    async def scenario() -> None:
        nonlocal size
        keeping = asyncio.create_task(watched.keep_small(is_quiet))
        await asyncio.sleep(0)
        size = 2**21
        while looks < 3:  # noqa: ASYNC110
            await asyncio.sleep(0)
        keeping.cancel()

    asyncio.run(scenario())
    assert watched.is_full == is_still_read
