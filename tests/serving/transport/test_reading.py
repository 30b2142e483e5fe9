"""Which messages are given up when those half read fill the memory."""

import asyncio
from typing import Any, cast

import pytest

from serving.transport import reading
from serving.transport.context import Context
from serving.transport.heap import Heap
from serving.transport.held import Held
from serving.transport.reading import Reading


class HalfSent:
    """A call whose message never comes."""

    def __init__(self) -> None:
        self.given_up = asyncio.Event()

    async def read(self) -> None:
        await self.given_up.wait()

    def fail(self, refusal: object) -> None:
        self.given_up.set()


class FullHeap(Heap):
    """Memory that is full, once it is tight, while any of some calls is there."""

    def __init__(self, held: Held) -> None:
        super().__init__(held)
        self.calls: list[HalfSent] = []
        self.is_tight = False

    @property
    def is_full(self) -> bool:
        return self.is_tight and not all(call.given_up.is_set() for call in self.calls)

    async def give_back(self) -> None:
        pass

    def settle(self) -> None:
        self.is_tight = False


@pytest.mark.parametrize("is_stream", [True, False])
def test_messages_that_began_just_before_the_memory_was_full_are_given_up_too(is_stream: bool) -> None:
    async def scenario() -> None:
        heap = FullHeap(Held(2**20))
        reader = Reading(heap._held, heap)

        def begin() -> "asyncio.Task[Any]":
            call = HalfSent()
            heap.calls.append(call)
            return asyncio.create_task(reader.read(cast(Context, call), bytes, is_stream=is_stream))

        tasks = [begin()]
        while not reader.is_slow:  # noqa: ASYNC110, until the first has been waited for long enough
            await asyncio.sleep(reading._SLOW_SECONDS / 10)
        tasks.append(begin())
        heap.is_tight = True
        await asyncio.wait_for(asyncio.gather(*tasks), 20)

    asyncio.run(scenario())
