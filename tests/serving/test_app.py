"""What the parts of a server that is put together say of the event loop."""

import asyncio
import threading

from serving.app import _turn_seconds


def test_a_loop_that_is_held_up_is_slow_to_turn() -> None:
    loop, is_held, release = asyncio.new_event_loop(), threading.Event(), threading.Event()
    turning = threading.Thread(target=loop.run_forever)
    turning.start()

    def hold() -> None:
        is_held.set()
        release.wait()

    loop.call_soon_threadsafe(hold)
    is_held.wait()
    threading.Timer(0.2, release.set).start()
    assert _turn_seconds(loop) > 0.1
    loop.call_soon_threadsafe(loop.stop)
    turning.join()
    loop.close()
