"""Events of gRPC are handled in order on the event loop, and a thread waits for them only while there are none."""

import asyncio
import queue
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from serving.transport import completions
from serving.transport.completions import Completions
from serving.transport.core import CompletionType
from tests.support.servers import eventually


class Queue:
    """A completion queue whose events a test puts in."""

    def __init__(self) -> None:
        self.events: queue.Queue[Any] = queue.Queue()
        self.waits = 0

    def tell(self, *tags: Callable[[object], None]) -> None:
        for tag in tags:
            self.events.put(SimpleNamespace(completion_type=CompletionType.operation_complete, tag=tag))

    def poll(self, deadline: float | None = None) -> Any:  # noqa: ANN401, as gRPC's
        if deadline is None:
            self.waits += 1
            return self._next(self.events.get())
        try:
            return self._next(self.events.get_nowait())
        except queue.Empty:
            return SimpleNamespace(completion_type=CompletionType.queue_timeout)

    def _next(self, event: Any) -> Any:  # noqa: ANN401, as gRPC's
        if isinstance(event, Exception):
            raise event
        return event

    def shutdown(self) -> None:
        self.events.put(SimpleNamespace(completion_type=CompletionType.queue_shutdown))


def completions_of(fake: Queue, broken: list[str]) -> Completions:
    asked = Completions(lambda: broken.append("broken"))
    asked.queue = fake
    asked.start()
    return asked


def test_a_burst_is_handled_in_order_and_the_thread_waits_once_before_and_once_after(
    caplog: pytest.LogCaptureFixture,
) -> None:
    handled = list[int]()

    def fail(event: object) -> None:
        raise RuntimeError("handling broke")

    async def run() -> Queue:
        fake, last = Queue(), asyncio.Event()
        fake.tell(*(lambda event, number=number: handled.append(number) for number in range(500)), fail)
        fake.tell(lambda event: last.set())
        asked = completions_of(fake, [])
        await asyncio.wait_for(last.wait(), 60)
        await eventually(lambda: fake.waits == 2)
        await asyncio.wait_for(asked.close(), 60)
        return fake

    fake = asyncio.run(run())
    assert handled == [*range(500)]
    assert fake.waits == 2
    assert "handling an event of gRPC failed. This is a bug." in caplog.text
    assert "RuntimeError: handling broke" in caplog.text


@pytest.mark.parametrize("waits", [True, False])
def test_a_queue_that_fails_is_told_to_the_server(waits: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> list[str]:
        fake, broken = Queue(), list[str]()
        if not waits:
            fake.tell(lambda event: None)  # after which the event loop asks
        fake.events.put(RuntimeError("no more events"))
        completions_of(fake, broken)
        await eventually(lambda: broken)
        return broken

    assert asyncio.run(run()) == ["broken"]
    assert "gRPC hands over no more calls" in caplog.text
    assert "RuntimeError: no more events" in caplog.text


def test_others_get_their_turn_between_many_events() -> None:
    handled = list[object]()

    async def run() -> None:
        fake, last = Queue(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def let_another(event: object) -> None:
            loop.call_soon(handled.append, "another")

        fake.tell(let_another)
        fake.tell(*(lambda event, number=number: handled.append(number) for number in range(500)))
        fake.tell(lambda event: last.set())
        asked = completions_of(fake, [])
        await asyncio.wait_for(last.wait(), 60)
        await asyncio.wait_for(asked.close(), 60)

    asyncio.run(run())
    assert handled.index("another") <= completions._TURN_EVENTS
