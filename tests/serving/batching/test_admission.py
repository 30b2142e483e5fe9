"""Whom the batcher takes into its queue: room, patience, bulk's share of it, deadlines at the door."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from serving.batching.batcher import Batcher
from serving.batching.load import Load
from tests.serving.conftest import Doubler, Keyed, Numbers, hold, joined, play, submit
from vaeserve.errors import DeadlinePassed, DeadlineUnreachable, Overloaded, ShuttingDown


def test_full_queue_refuses_at_once_and_says_when_to_return() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        waiting = asyncio.create_task(submit(batcher, Numbers([1, 2, 3, 4, 5])))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as refused:
            await submit(batcher, Numbers([6, 7]))
        assert refused.value.retry_seconds > 0
        doubler.free.set()
        assert joined(await waiting) == [2, 4, 6, 8, 10]
        assert joined(await submit(batcher, Numbers([6, 7]))) == [12, 14]
        await held

    play(scenario, queue_rows=6)


def test_cancelled_rows_give_their_room_back() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        for _ in range(50):
            task = asyncio.create_task(submit(batcher, Numbers([1, 2, 3])))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.sleep(0)
        assert batcher.waiting_rows == 0
        doubler.free.set()
        await held

    assert play(scenario, queue_rows=4).rows_run == [0]


def test_a_patient_call_waits_for_room_and_others_are_refused() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        waiting = asyncio.create_task(submit(batcher, Numbers([1, 2, 3])))
        await asyncio.sleep(0)
        patient = [asyncio.create_task(submit(batcher, Numbers([4 + i]), bulk=True, patient=True)) for i in range(5)]
        gone = asyncio.create_task(submit(batcher, Numbers([9]), patient=True))
        late = asyncio.create_task(submit(batcher, Numbers([10]), 0.01, patient=True))
        with pytest.raises(DeadlinePassed):
            await late
        gone.cancel()
        with pytest.raises(Overloaded):
            await submit(batcher, Numbers([8]))
        doubler.free.set()
        assert [joined(await task) for task in patient] == [[8], [10], [12], [14], [16]]
        assert joined(await waiting) == [2, 4, 6]
        await held

    assert 9 not in play(scenario, queue_rows=3).rows_run


def test_bulk_calls_leave_room_in_the_queue_for_others() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        bulk = [asyncio.create_task(submit(batcher, Numbers([i] * 2), bulk=True, patient=True)) for i in range(9)]
        await asyncio.sleep(0)
        assert batcher.waiting_rows == 6
        with pytest.raises(Overloaded, match=r"^6 bulk rows are waiting, their limit of 6 leaves no room for 1 more$"):
            await submit(batcher, Numbers([9]), bulk=True)
        interactive = asyncio.create_task(submit(batcher, Numbers([10, 11])))
        await asyncio.sleep(0)
        assert batcher.waiting_rows == 8
        doubler.free.set()
        assert joined(await interactive) == [20, 22]
        assert [joined(await task) for task in bulk] == [[2 * i] * 2 for i in range(9)]
        assert joined(await submit(batcher, Numbers(range(8)), bulk=True)) == list(range(0, 16, 2))  # the whole queue
        await held

    play(scenario, queue_rows=8)


@pytest.mark.parametrize("others_are_bulk", [False, True])
def test_a_large_bulk_call_is_not_kept_out_of_the_queue_by_a_crowd(others_are_bulk: bool) -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        async def eager() -> None:
            while not large.done():
                try:
                    await submit(batcher, Numbers([1, 2]), bulk=others_are_bulk, patient=others_are_bulk)
                except Overloaded:
                    await asyncio.sleep(0.001)  # who spins keeps Python's lock from the device's thread

        held = await hold(batcher, doubler)
        crowd = [asyncio.create_task(submit(batcher, Numbers([1, 2]), bulk=others_are_bulk)) for _ in range(6)]
        await asyncio.sleep(0)
        large = asyncio.create_task(submit(batcher, Numbers(range(10)), 60, bulk=True, patient=True))
        await asyncio.sleep(0)
        doubler.free.set()
        await asyncio.gather(*(eager() for _ in range(20)))
        assert joined(await large) == list(range(0, 20, 2))
        await asyncio.gather(held, *crowd)

    play(scenario, queue_rows=16)


def test_a_bulk_call_that_waits_behind_others_is_told_so() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        patient = [asyncio.create_task(submit(batcher, Numbers([i] * 5), bulk=True, patient=True)) for i in range(2)]
        for _ in range(2):  # after one turn the first is queued, after another the second waits for room
            await asyncio.sleep(0)
        assert batcher.waiting_rows == 5
        with pytest.raises(Overloaded, match=r"^bulk calls are waiting for room in the queue, and a later bulk call"):
            await submit(batcher, Numbers([9]), bulk=True)
        doubler.free.set()
        await asyncio.gather(held, *patient)

    play(scenario, queue_rows=8)


def test_a_patient_call_that_can_never_fit_is_refused() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        with pytest.raises(Overloaded):
            await submit(batcher, Numbers(range(9)), patient=True)

    play(scenario, queue_rows=8)


def test_closing_answers_those_who_wait_for_room() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        tasks = [asyncio.create_task(submit(batcher, Numbers([i]), patient=True)) for i in range(4)]
        await asyncio.sleep(0)
        await batcher.close()
        for task in (held, *tasks):
            with pytest.raises(ShuttingDown):
                await task

    play(scenario, queue_rows=2)


def test_a_deadline_that_cannot_be_met_is_refused_at_the_door() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        doubler.seconds = 0.1
        await submit(batcher, Numbers([0, 1, 2, 3]))  # so that it knows how long a batch takes
        crowd = [
            asyncio.create_task(submit(batcher, Numbers([10 * i, 10 * i + 1, 10 * i + 2, 10 * i + 3])))
            for i in range(1, 8)
        ]
        await asyncio.sleep(0)
        with pytest.raises(DeadlineUnreachable):
            await submit(batcher, Numbers([90]), timeout_seconds=0.15)
        assert joined(await submit(batcher, Numbers([91]), timeout_seconds=60)) == [182]
        await asyncio.gather(*crowd)
        assert batcher.tally.refused_unreachable == 1

    assert 90 not in play(scenario).rows_run


def test_an_idle_device_is_worth_a_try_that_half_the_time_might_do_for() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        doubler.seconds = 0.1
        expected = (await submit(batcher, Numbers([1]))).running_seconds
        with pytest.raises(DeadlineUnreachable):
            batcher.enqueue(Numbers([2]), 0.25 * expected)
        doubler.seconds = 0.0
        assert joined(await batcher.enqueue(Numbers([3]), 0.75 * expected)) == [6]

    assert play(scenario).rows_run == [1, 3]


@pytest.mark.parametrize(("left_seconds", "timeout_seconds"), [(0.0, 60.0), (0.3, 0.2)])
def test_callers_who_leave_at_their_deadline_tell_that_answers_are_late(
    left_seconds: float, timeout_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead_seconds = 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + ahead_seconds)
    monkeypatch.setattr("serving.batching.batcher.time", clock)

    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        nonlocal ahead_seconds
        await submit(batcher, Numbers([1]))
        held = await hold(batcher, doubler)
        leaving = [asyncio.create_task(submit(batcher, Numbers([2]), timeout_seconds)) for _ in range(6)]
        await asyncio.sleep(0)
        assert batcher.waiting_rows == 6
        ahead_seconds = left_seconds
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        if left_seconds:
            with pytest.raises(DeadlineUnreachable):
                batcher.enqueue(Numbers([3]), timeout_seconds=0.2)
        else:
            batcher.enqueue(Numbers([3]), timeout_seconds=0.2).cancel()  # it was accepted
        doubler.free.set()
        await held

    play(scenario)


def test_a_queue_holds_a_weight() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        waiting = batcher.enqueue(Keyed([1, 2], "4 a"))
        assert batcher.waiting_rows == 8
        with pytest.raises(Overloaded, match=r"^8 rows are waiting, the limit of 10 leaves no room for 1 more, which"):
            batcher.enqueue(Keyed([3], "3 b"))
        with pytest.raises(Overloaded, match=r"leaves no room for 3 more$"):
            batcher.enqueue(Keyed([4, 5, 6], "1 c"))
        last = batcher.enqueue(Keyed([7], "2 d"))
        doubler.free.set()
        assert [joined(await answer) for answer in (waiting, last)] == [[2, 4], [14]]
        await held

    assert play(scenario, queue_rows=10).rows_run == [0, 1, 2, 7]


@pytest.mark.parametrize("bulk", [False, True])
def test_an_empty_queue_takes_a_row_that_is_heavier_than_it(bulk: bool) -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        with pytest.raises(Overloaded):
            batcher.enqueue(Keyed([1, 2], "9 a"), bulk=bulk)
        heavy = batcher.enqueue(Keyed([3], "9 a"), bulk=bulk)
        with pytest.raises(Overloaded):
            batcher.enqueue(Keyed([4], "9 a"), bulk=bulk)
        patient = batcher.enqueue(Keyed([5], "9 a"), bulk=bulk, patient=True)
        doubler.free.set()
        assert [joined(await answer) for answer in (heavy, patient)] == [[6], [10]]
        await held

    assert play(scenario, queue_rows=6).rows_run == [0, 3, 5]


def test_the_time_of_heavy_rows_is_not_expected_from_light_ones() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        await submit(batcher, Keyed([1], "1 a"), 60)
        doubler.seconds = 0.2
        assert joined(await submit(batcher, Keyed([2], "4 b"), 60)) == [4]  # a try, because nothing is known of it
        with pytest.raises(DeadlineUnreachable):
            batcher.enqueue(Keyed([3], "4 b"), timeout_seconds=0.05)
        with pytest.raises(DeadlineUnreachable):
            batcher.enqueue(Keyed([4], "4 other"), timeout_seconds=0.05)

    assert play(scenario).rows_run == [1, 2]


def test_a_guess_is_not_taken_for_what_an_answer_is_late_by() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        expect = batcher._admission.expect
        await submit(batcher, Keyed([1], "1 a"))
        assert expect(Load(1), "1 a", 60, bulk=False) is not None
        assert expect(Load(1, 4), "4 b", 60, bulk=False) is None
        held = await hold(batcher, doubler)
        heavy = batcher.enqueue(Keyed([2], "4 b"))
        assert expect(Load(1), "1 a", 60, bulk=False) is None  # a heavy row is before it
        doubler.free.set()
        await asyncio.gather(held, heavy)
        assert expect(Load(1, 4), "4 b", 60, bulk=False) is not None

    play(scenario)


def test_how_late_answers_are_is_learned_by_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        weights: list[int] = []
        monkeypatch.setattr(batcher._admission, "learn_slip", lambda seconds, row_weight: weights.append(row_weight))
        for _ in range(2):  # nothing was expected of the first one
            await submit(batcher, Keyed([1], "4 b"), 60)
            await asyncio.sleep(0)
        assert weights == [4]

    play(scenario)


def test_light_rows_are_not_refused_because_heavy_ones_were_late() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        await submit(batcher, Keyed([1], "1 a"))
        await submit(batcher, Keyed([2], "4 b"))
        held = await hold(batcher, doubler)
        batcher._admission.learn_slip(1000.0, 4)
        with pytest.raises(DeadlineUnreachable):
            batcher.enqueue(Keyed([3], "4 c"), timeout_seconds=60)
        light = batcher.enqueue(Keyed([4], "1 a"), timeout_seconds=60)
        doubler.free.set()
        assert joined(await light) == [8]
        await held

    play(scenario)
