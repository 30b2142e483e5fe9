"""How work that comes in many short pieces shares the event loop with everybody else."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from serving.turns import Turns

LOOPS: list[Callable[[Coroutine[Any, Any, None]], None]] = [asyncio.run, uvloop.run]


@pytest.mark.parametrize("run", LOOPS)
def test_pieces_beyond_the_share_wait_for_later_turns_in_order(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        turns, done = Turns(share_seconds=0), []
        for number in range(4):
            turns.do(lambda number=number: done.append(number))  # type: ignore[misc]
        for number in range(4):
            assert done == list(range(number + 1))
            await asyncio.sleep(0)

    run(scenario())


@pytest.mark.parametrize("run", LOOPS)
def test_pieces_within_the_share_are_done_at_once(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        turns, done = Turns(share_seconds=60), []
        for number in range(4):
            turns.do(lambda number=number: done.append(number))  # type: ignore[misc]
        assert done == list(range(4))

    run(scenario())


def test_a_piece_that_fails_does_not_stop_those_behind_it() -> None:
    def fail() -> None:
        raise RuntimeError("it failed")

    async def scenario() -> None:
        turns, done = Turns(share_seconds=0), asyncio.Event()
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        turns.do(lambda: None)  # the only one that its giver waits for
        for piece in (fail, done.set):
            turns.do(piece)
        await asyncio.wait_for(done.wait(), 60)

    asyncio.run(scenario())


@pytest.mark.parametrize("run", LOOPS)
def test_who_pauses_lets_the_loop_look_for_messages(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        turns, heard = Turns(share_seconds=0), asyncio.Event()
        near, far = socket.socketpair()
        asyncio.get_running_loop().add_reader(near, heard.set)
        far.send(b"message")
        for _ in range(8):
            await turns.pause()
        assert heard.is_set()
        asyncio.get_running_loop().remove_reader(near)
        near.close()
        far.close()

    run(scenario())


@pytest.mark.parametrize("run", LOOPS)
def test_those_who_pause_go_on_in_turn_and_all_share_one_turn(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        turns, order, now = Turns(share_seconds=0), [], 0

        async def work(name: str) -> None:
            for _ in range(3):
                if turns.is_spent():
                    await turns.pause()
                order.append((now, name))

        workers = asyncio.gather(*map(work, "abc"))
        while not workers.done():
            await asyncio.sleep(0)
            now += 1
        assert [name for _, name in order] == list("aabcabcbc")  # the first to begin is the first to pause
        assert len({turn for turn, _ in order}) == len(order)

    run(scenario())
