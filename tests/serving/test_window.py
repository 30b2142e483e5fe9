"""What a stream may have in flight."""

import asyncio

from serving.window import Held, Window


def test_room_is_waited_for() -> None:
    async def play() -> None:
        window = Window(100, Held(1000))
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
    asyncio.run(Window(100, Held(1000)).wait_for_room(1000))


def test_calls_are_counted_beside_their_bytes() -> None:
    async def play() -> None:
        window = Window(100, Held(1000))
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
        window = Window(100, Held(1000))
        window.add(100)
        waiting = asyncio.create_task(window.wait_for_room(1))
        await asyncio.sleep(0)
        window.close()
        await waiting
        assert window.is_closed

    asyncio.run(play())


def test_windows_share_what_may_be_held() -> None:
    async def scenario() -> None:
        held = Held(100)
        one, other = Window(80, held), Window(80, held)
        one.add(70)
        other.add(60)  # the first call of a window always fits
        waiting = asyncio.create_task(other.wait_for_room(5))
        await asyncio.sleep(0)
        assert not waiting.done()
        one.close()  # gives back what it held
        other.remove(0)
        other.add(0)
        await asyncio.wait_for(waiting, 10)
        assert held.fits(40)
        assert not held.fits(41)

    asyncio.run(scenario())
