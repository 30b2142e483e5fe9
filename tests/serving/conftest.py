"""Settings for tests that put a model to use without a server; and, for those without a model, a batcher of lists."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Self

import pytest

from serving.batching.batcher import Batcher
from serving.batching.call import A, Answer, R
from serving.batching.device import Device
from serving.interrupt import Interrupt
from serving.settings import Settings, read_settings
from vaeserve.errors import OutOfMemory


@pytest.fixture
def settings(tiny: Path) -> Settings:
    return read_settings({"package": str(tiny), "provider": "cpu", "threads": "1", "batch_rows": "64"})


class Numbers(list[int]):
    key: Hashable = None

    def part(self, start: int, stop: int) -> Self:
        return type(self)(self[start:stop])


class Keyed(Numbers):
    """Numbers that run with those of their key alone. A key is a weight and a name: "16 a"."""

    def __init__(self, numbers: Iterable[int], key: str) -> None:
        super().__init__(numbers)
        self.key = key

    def part(self, start: int, stop: int) -> Self:
        return type(self)(self[start:stop], str(self.key))


def weigh(key: Hashable) -> int:
    """Returns what a row of a key weighs: the number that the key begins with."""
    return int(str(key).split()[0])


class Doubler:
    """Doubles rows, remembers its batches, and can be held or made to fail."""

    def __init__(self) -> None:
        self.batches: list[list[Numbers]] = []
        self.free = threading.Event()
        self.free.set()
        self.busy = threading.Event()
        self.fail_on: int | None = None
        self.seconds = self.row_seconds = 0.0
        self.memory_rows = 1_000_000
        self.endless_on: int | None = None
        self.was_interrupted = False

    def __call__(self, batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
        self.busy.set()
        assert self.free.wait(60)
        time.sleep(self.seconds + self.row_seconds * sum(map(len, batch)))
        if any(self.endless_on in rows for rows in batch):
            stopped = threading.Event()
            assert interrupt is not None
            interrupt.attach(stopped.set)
            self.was_interrupted = stopped.wait(60)
            raise RuntimeError("interrupted")
        if sum(map(len, batch)) > self.memory_rows:
            raise OutOfMemory("no memory left")
        self.batches.append(list(batch))
        if any(self.fail_on in rows for rows in batch):
            raise RuntimeError("the device broke")
        return [[2 * number for number in rows] for rows in batch]

    @property
    def rows_run(self) -> list[int]:
        return [number for batch in self.batches for rows in batch for number in rows]


Scenario = Callable[[Batcher[Numbers, list[int]], Doubler], Awaitable[None]]


def play(
    scenario: Scenario, *, batch_rows: int = 4, queue_rows: int = 100, wait_seconds: float = 0.0, slots: int = 1
) -> Doubler:
    async def run() -> Doubler:
        doubler, device = Doubler(), Device(slots)
        batcher = Batcher(
            doubler,
            device,
            batch_rows=batch_rows,
            queue_rows=queue_rows,
            weigh=weigh,
            wait_seconds=wait_seconds,
            inline_seconds=0,  # a doubler that is held must not hold the event loop
        )
        try:
            await scenario(batcher, doubler)
        finally:
            doubler.free.set()
            await batcher.close()
            device.close()
        return doubler

    return asyncio.run(run())


async def submit(
    batcher: Batcher[R, A], rows: R, timeout_seconds: float | None = None, *, bulk: bool = False, patient: bool = False
) -> Answer[A]:
    """Queues rows and waits for their answer. Cancelling the wait takes the rows out of the queue."""
    return await batcher.enqueue(rows, timeout_seconds, bulk=bulk, patient=patient)


def joined(answer: Answer[list[int]]) -> list[int]:
    return [number for part in answer.parts for number in part]


async def hold(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> "asyncio.Task[Answer[list[int]]]":
    """Occupies the device with row 0 until `doubler.free` is set, so that what follows has to queue."""
    doubler.free.clear()
    doubler.busy.clear()
    task = asyncio.create_task(submit(batcher, Numbers([0])))
    assert await asyncio.to_thread(doubler.busy.wait, 60)
    return task
