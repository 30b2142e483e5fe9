"""Waiting for the next message of a stream."""

import asyncio
from typing import Any

from vaeserve.client.awaited_streams import _read
from vaeserve.client.failures import Patience


class Messages:
    """A stream whose messages come when a test says so."""

    def __init__(self) -> None:
        self.next = asyncio.Event()

    async def read(self) -> None:
        await self.next.wait()
        self.next.clear()


def test_a_cancellation_that_comes_with_a_message_is_not_lost() -> None:
    async def run() -> bool:
        messages: Any = Messages()

        async def read_for_ever() -> None:
            while True:
                await _read(messages, Patience("localhost:1", 60))

        reading = asyncio.create_task(read_for_ever())
        for _ in range(5):
            await asyncio.sleep(0)
        messages.next.set()
        await asyncio.sleep(0)
        reading.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        return reading.cancelled()

    assert asyncio.run(run())
