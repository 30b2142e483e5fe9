"""What a stream may have in flight."""

import asyncio

import pytest

from serving.transport.held import Held
from serving.vae_v1.flow_window import FlowWindow
from vaeserve.errors import Overloaded


def test_room_is_waited_for() -> None:
    async def play() -> None:
        window = FlowWindow(100, Held(1000))
        window.add(60)
        window.enlarge(30)
        waiting = asyncio.create_task(window.wait_for_room(20))
        await asyncio.sleep(0)
        assert not waiting.done()
        window.remove(90)
        await waiting
        assert window.calls == 0

    asyncio.run(play())


def test_one_call_always_fits() -> None:
    asyncio.run(FlowWindow(100, Held(1000)).wait_for_room(1000))


def test_calls_are_counted_beside_their_bytes() -> None:
    async def play() -> None:
        window = FlowWindow(100, Held(1000))
        for _ in range(1024):
            window.add(0)
        waiting = asyncio.create_task(window.wait_for_room(0))
        await asyncio.sleep(0)
        assert not waiting.done()
        window.remove(0)
        await waiting

    asyncio.run(play())


def test_nobody_waits_for_a_window_that_is_closed() -> None:
    async def play() -> None:
        held = Held(1000)
        window, other = FlowWindow(100, held), FlowWindow(100, held)
        window.add(100)
        other.add(300)
        waiting = asyncio.create_task(window.wait_for_room(1))
        for_memory = asyncio.create_task(window.wait_for_memory(100, lambda: False))
        await asyncio.sleep(0)
        assert not for_memory.done()
        window.close()
        await asyncio.gather(waiting, for_memory)
        assert window.is_closed
        assert held.bytes == 600

    asyncio.run(play())


def test_a_message_is_counted_once_whether_its_calls_are_accepted_or_not() -> None:
    held = Held(1000)
    window = FlowWindow(1000, held)
    window.arrive(100)
    assert held.bytes == 200
    window.add(60)
    assert held.bytes == 200
    window.add(60)  # a call takes more than its part of the message
    assert held.bytes == 240
    window.arrive(50)
    with pytest.raises(Overloaded):
        window.arrive(1000)
    window.close()
    assert held.bytes == 0


def test_a_closed_window_does_not_wait_behind_others_for_memory() -> None:
    async def scenario() -> None:
        held = Held(2**20)
        held.add(2**19)
        other = asyncio.create_task(held.wait_for_room(2**10, lambda: False, is_request=True))
        await asyncio.sleep(0)
        window = FlowWindow(2**20, held)
        window.close()
        await asyncio.wait_for(window.wait_for_memory(2**10, lambda: False), 60)
        other.cancel()

    asyncio.run(scenario())
