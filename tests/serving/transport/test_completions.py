"""Events of gRPC are handled in order on the event loop, and a thread waits for them only while there are none."""

import asyncio
import queue
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # the stubs do not have it

from serving.transport.completions import Completions
from tests.support.servers import eventually


class Queue:
    """A completion queue that is told what to tell."""

    def __init__(self) -> None:
        self.events: queue.Queue[Any] = queue.Queue()
        self.waits = 0

    def tell(self, *tags: Callable[[object], None]) -> None:
        for tag in tags:
            self.events.put(SimpleNamespace(completion_type=cygrpc.CompletionType.operation_complete, tag=tag))

    def poll(self, deadline: float | None = None) -> Any:  # noqa: ANN401, as gRPC's
        if deadline is None:
            self.waits += 1
            event = self.events.get()
            if isinstance(event, Exception):
                raise event
            return event
        try:
            return self.events.get_nowait()
        except queue.Empty:
            return SimpleNamespace(completion_type=cygrpc.CompletionType.queue_timeout)

    def shutdown(self) -> None:
        self.events.put(SimpleNamespace(completion_type=cygrpc.CompletionType.queue_shutdown))


def completions_of(told: Queue, broken: list[str]) -> Completions:
    completions = Completions(lambda: broken.append("broken"))
    completions.queue = told
    completions.start()
    return completions


def test_a_burst_is_handled_in_order_and_the_thread_waits_once_before_and_once_after(
    caplog: pytest.LogCaptureFixture,
) -> None:
    handled = list[int]()

    def fail(event: object) -> None:
        raise RuntimeError("handling broke")

    async def run() -> Queue:
        told, last = Queue(), asyncio.Event()
        told.tell(*(lambda event, number=number: handled.append(number) for number in range(500)), fail)
        told.tell(lambda event: last.set())
        completions = completions_of(told, [])
        await asyncio.wait_for(last.wait(), 60)
        await eventually(lambda: told.waits == 2)
        completions.close()
        await asyncio.to_thread(completions._thread.join, 60)
        assert not completions._thread.is_alive()
        return told

    told = asyncio.run(run())
    assert handled == [*range(500)]
    assert told.waits == 2
    assert "handling an event of gRPC failed. This is a bug." in caplog.text
    assert "RuntimeError: handling broke" in caplog.text


def test_a_queue_that_fails_is_told_to_the_server(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> list[str]:
        told, broken = Queue(), list[str]()
        told.events.put(RuntimeError("no more events"))
        completions_of(told, broken)
        while not broken:  # noqa: ASYNC110, until it is told
            await asyncio.sleep(0.001)
        return broken

    assert asyncio.run(run()) == ["broken"]
    assert "gRPC takes no more calls" in caplog.text
