"""What monitoring is told of the event loop."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from serving.telemetry.monitoring import _turn_seconds


def test_a_loop_that_is_held_up_is_slow_to_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, is_held, release = asyncio.new_event_loop(), threading.Event(), threading.Event()
    turning = threading.Thread(target=loop.run_forever)
    turning.start()

    def hold() -> None:
        is_held.set()
        release.wait()

    ask = loop.call_soon_threadsafe

    def ask_and_release(asked: Callable[[], object]) -> None:
        ask(asked)
        threading.Timer(0.2, release.set).start()

    ask(hold)
    is_held.wait()
    monkeypatch.setattr(loop, "call_soon_threadsafe", ask_and_release)
    assert _turn_seconds(loop) >= 0.2
    ask(loop.stop)
    turning.join()
    loop.close()
