"""What the process is taken to need for itself."""

import asyncio

import pytest

from serving.transport import heap
from serving.transport.heap import Heap
from serving.transport.held import Held
from tests.support.servers import eventually


@pytest.mark.parametrize("is_still_read", [True, False])
def test_what_is_read_just_now_is_not_what_the_process_needs(
    monkeypatch: pytest.MonkeyPatch, is_still_read: bool
) -> None:
    size, looks = 0, 0
    monkeypatch.setattr(heap, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(heap, "resident_bytes", lambda: size)
    watched = Heap(Held(2**20))

    def is_quiet() -> bool:
        nonlocal looks
        looks += 1
        return looks == 1 or not is_still_read  # at the first look the message is too young to be slow

    async def scenario() -> None:
        nonlocal size
        keeping = asyncio.create_task(watched.keep_small(is_quiet))
        await asyncio.sleep(0)
        size = 2**21
        while looks < 3:  # noqa: ASYNC110
            await asyncio.sleep(0)
        keeping.cancel()

    asyncio.run(scenario())
    assert watched.is_full == is_still_read


@pytest.mark.parametrize("load", [[100, 100, 100, 100], [100, 100, 40, 40]])
def test_memory_is_given_back_when_less_is_held_and_not_between_the_calls_of_a_steady_load(
    monkeypatch: pytest.MonkeyPatch, load: list[int]
) -> None:
    monkeypatch.setattr(heap, "_LOOK_SECONDS", 0.0)
    held, looks = Held(2**20), 0
    given_back: list[int] = []
    monkeypatch.setattr(heap, "resident_bytes", lambda: 0 if given_back else 2**30)

    class Watched(Heap):
        async def give_back(self) -> None:
            given_back.append(looks)

    def is_quiet() -> bool:
        nonlocal looks
        looks += 1
        if looks < len(load):
            held.add(load[looks])
            held.add(-load[looks])  # between two calls nothing is held
        return False

    async def scenario() -> None:
        watched = Watched(held)
        watched._rest_bytes = 0
        held.add(load[0])
        held.add(-load[0])
        keeping = asyncio.create_task(watched.keep_small(is_quiet))
        while looks < len(load):  # noqa: ASYNC110
            await asyncio.sleep(0)
        keeping.cancel()

    asyncio.run(scenario())
    assert given_back == ([] if min(load) == 100 else [2])


def test_what_grpc_lets_go_of_after_a_relief_is_given_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(heap, "resident_bytes", lambda: 2**30)  # still there when it is looked at
    watched, given_back = Heap(Held(2**20)), list[int]()
    watched._trim = given_back.append

    async def scenario() -> None:
        await watched.relieve()
        keeping = asyncio.create_task(watched.keep_small(lambda: True))
        await eventually(lambda: len(given_back) >= 2)
        keeping.cancel()

    asyncio.run(scenario())
