"""The batcher with lists for rows and a function that doubles them."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batcher import Batcher
from serving.device import Device
from serving.interrupt import Interrupt
from serving.line import Answer
from vae.errors import (
    DeadlinePassed,
    DeadlineUnreachable,
    EngineFailure,
    NonFiniteOutput,
    OutOfMemory,
    Overloaded,
    ShuttingDown,
    VaeError,
)


class Numbers(list[int]):
    def part(self, start: int, stop: int) -> Self:
        return type(self)(self[start:stop])


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
        assert self.free.wait(10)
        time.sleep(self.seconds + self.row_seconds * sum(map(len, batch)))
        if any(self.endless_on in rows for rows in batch):
            stopped = threading.Event()
            assert interrupt is not None
            interrupt.attach(stopped.set)
            self.was_interrupted = stopped.wait(10)
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


def play(scenario: Scenario, *, batch_rows: int = 4, queue_rows: int = 100, wait_seconds: float = 0.0) -> Doubler:
    async def run() -> Doubler:
        doubler, device = Doubler(), Device()
        batcher = Batcher(
            doubler,
            device,
            batch_rows=batch_rows,
            queue_rows=queue_rows,
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


def joined(answer: Answer[list[int]]) -> list[int]:
    return [number for part in answer.parts for number in part]


async def hold(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> "asyncio.Task[Answer[list[int]]]":
    """Occupies the device with row 0 until `doubler.free` is set, so that what follows has to queue."""
    doubler.free.clear()
    doubler.busy.clear()
    task = asyncio.create_task(batcher.submit(Numbers([0])))
    assert await asyncio.to_thread(doubler.busy.wait, 10)
    return task


def test_answers_a_lone_call() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        answer = await batcher.submit(Numbers([1, 2]))
        assert answer.parts == [[2, 4]]
        assert answer.batch_rows == 2
        assert answer.queued_seconds >= 0
        assert answer.running_seconds > 0

    play(scenario)


def test_callers_share_batches() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        answers = await asyncio.gather(*(batcher.submit(Numbers([i])) for i in range(8)))
        assert [answer.parts for answer in answers] == [[[2 * i]] for i in range(8)]
        assert {answer.batch_rows for answer in answers} == {4}

    assert len(play(scenario).batches) == 2


def test_cancelled_neighbour_changes_no_answer() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        first, middle, last = (asyncio.create_task(batcher.submit(Numbers([i]))) for i in (1, 2, 3))
        await asyncio.sleep(0)
        middle.cancel()
        await asyncio.sleep(0)
        assert batcher.waiting_rows == 2
        doubler.free.set()
        assert [joined(await task) for task in (held, first, last)] == [[0], [2], [6]]

    assert play(scenario).rows_run == [0, 1, 3]


def test_call_cancelled_while_it_runs_changes_no_answer() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        held.cancel()
        follower = asyncio.create_task(batcher.submit(Numbers([5])))
        await asyncio.sleep(0)
        doubler.free.set()
        assert joined(await follower) == [10]
        assert held.cancelled()

    play(scenario)


def test_late_rows_never_run() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        late = asyncio.create_task(batcher.submit(Numbers([1]), timeout_seconds=0.01))
        patient = asyncio.create_task(batcher.submit(Numbers([2]), timeout_seconds=60))
        await asyncio.sleep(0.03)
        doubler.free.set()
        with pytest.raises(DeadlinePassed):
            await late
        assert joined(await patient) == [4]
        await held

    assert play(scenario).rows_run == [0, 2]


def test_large_call_is_cut_and_interleaved() -> None:
    order: list[str] = []

    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        async def call(name: str, rows: Numbers) -> list[int]:
            answer = await batcher.submit(rows)
            order.append(name)
            return joined(answer)

        held = await hold(batcher, doubler)
        large = asyncio.create_task(call("large", Numbers(range(100, 230))))
        await asyncio.sleep(0)
        small = asyncio.create_task(call("small", Numbers([1])))
        await asyncio.sleep(0)
        doubler.free.set()
        assert await large == [2 * i for i in range(100, 230)]
        assert await small == [2]
        await held

    batches = play(scenario, queue_rows=200).batches
    assert order == ["small", "large"]
    assert [sum(map(len, batch)) for batch in batches] == [1, *[4] * 32, 3]


def test_full_queue_refuses_at_once_and_says_when_to_return() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        waiting = asyncio.create_task(batcher.submit(Numbers([1, 2, 3, 4, 5])))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as refused:
            await batcher.submit(Numbers([6, 7]))
        assert refused.value.retry_seconds > 0
        doubler.free.set()
        assert joined(await waiting) == [2, 4, 6, 8, 10]
        assert joined(await batcher.submit(Numbers([6, 7]))) == [12, 14]
        await held

    play(scenario, queue_rows=6)


def test_cancelled_rows_give_their_room_back() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        for _ in range(50):
            task = asyncio.create_task(batcher.submit(Numbers([1, 2, 3])))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.sleep(0)
        assert batcher.waiting_rows == 0
        doubler.free.set()
        await held

    assert play(scenario, queue_rows=4).rows_run == [0]


def test_failing_batch_fails_alone() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        doubler.fail_on = 1
        with pytest.raises(EngineFailure, match="the batch failed"):
            await batcher.submit(Numbers([1]))
        assert joined(await batcher.submit(Numbers([2]))) == [4]

    play(scenario)


def test_a_batch_that_fails_with_any_error_of_ours_fails_alone() -> None:
    async def run() -> None:
        def refuse(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
            raise Overloaded("the device is busy", retry_seconds=1)

        device = Device()
        batcher: Batcher[Numbers, list[int]] = Batcher(refuse, device, batch_rows=4, queue_rows=9)
        for _ in range(2):
            with pytest.raises(EngineFailure, match="the device is busy"):
                await asyncio.wait_for(batcher.submit(Numbers([1])), 10)
        assert not batcher.worker.done()
        await batcher.close()
        device.close()

    asyncio.run(run())


def test_failure_in_the_middle_of_a_cut_call_stops_the_rest() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        doubler.fail_on = 1
        with pytest.raises(EngineFailure):
            await batcher.submit(Numbers(range(12)))
        assert joined(await batcher.submit(Numbers([20]))) == [40]
        assert batcher.waiting_rows == 0

    assert play(scenario).rows_run == [0, 1, 2, 3, 20]


def test_close_answers_those_who_wait() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        waiting = asyncio.create_task(batcher.submit(Numbers([1])))
        await asyncio.sleep(0)
        doubler.free.set()
        await batcher.close()
        for call in (waiting, batcher.submit(Numbers([2]))):
            with pytest.raises(ShuttingDown):
                await call
        held.cancel()

    play(scenario)


def test_close_answers_those_whose_rows_run() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        await batcher.close()
        with pytest.raises(ShuttingDown):
            await held

    play(scenario)


def test_too_few_answers_fail_their_batch_alone() -> None:
    async def run() -> None:
        device = Device()
        batcher: Batcher[Numbers, list[int]] = Batcher(lambda batch, interrupt: [], device, batch_rows=4, queue_rows=9)
        for _ in range(2):
            with pytest.raises(EngineFailure):
                await asyncio.wait_for(batcher.submit(Numbers([1])), 10)
        await batcher.close()
        device.close()

    asyncio.run(run())


def test_wait_fills_the_batch_and_ends_early_when_it_is_full() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        first = asyncio.create_task(batcher.submit(Numbers([1])))
        await asyncio.sleep(0.02)
        rest = asyncio.create_task(batcher.submit(Numbers([2, 3, 4])))
        assert (await first).batch_rows == (await rest).batch_rows == 4

    play(scenario, wait_seconds=30)


def test_batchers_take_turns_on_a_device() -> None:
    async def run() -> None:
        device, running = Device(), []

        def exclusive(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
            running.append(threading.get_ident())
            return [list(rows) for rows in batch]

        batchers = [Batcher(exclusive, device, batch_rows=2, queue_rows=100, inline_seconds=0) for _ in range(2)]
        calls = [batcher.submit(Numbers(range(6))) for batcher in batchers]
        assert [joined(answer) for answer in await asyncio.gather(*calls)] == [list(range(6))] * 2
        assert len(set(running)) == 1
        for batcher in batchers:
            await batcher.close()
        device.close()

    asyncio.run(run())


def test_calls_that_come_and_go_do_not_keep_the_device_from_others() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        async def fickle() -> None:
            while not victim.done():
                task = asyncio.create_task(batcher.submit(Numbers([1])))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.sleep(0)

        victim = asyncio.create_task(batcher.submit(Numbers([5])))
        crowd = [asyncio.create_task(fickle()) for _ in range(3)]
        assert joined(await asyncio.wait_for(victim, 20)) == [10]
        await asyncio.gather(*crowd)

    play(scenario, batch_rows=1000, queue_rows=100_000)


def test_cancelled_calls_are_let_go_at_once() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        rows = Numbers([1, 2, 3])
        task = asyncio.create_task(batcher.submit(rows))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        kept = weakref.ref(rows)
        del task, rows
        gc.collect()
        assert kept() is None
        doubler.free.set()
        await held

    play(scenario)


def test_a_worker_that_dies_leaves_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    class Uncuttable(Numbers):
        def part(self, start: int, stop: int) -> Self:
            raise RuntimeError("cannot be cut")

    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        with pytest.raises(ShuttingDown):
            await asyncio.wait_for(batcher.submit(Uncuttable(range(9))), 10)
        with pytest.raises(ShuttingDown):
            await batcher.submit(Numbers([1]))

    play(scenario)
    assert "This is a bug" in caplog.text


@pytest.mark.parametrize("left_seconds", [0.0, 0.3])
def test_callers_who_leave_at_their_deadline_tell_that_answers_are_late(left_seconds: float) -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        await batcher.submit(Numbers([1]))
        held = await hold(batcher, doubler)
        leaving = [asyncio.create_task(batcher.submit(Numbers([2]), timeout_seconds=0.2)) for _ in range(6)]
        await asyncio.sleep(left_seconds)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        if left_seconds:
            with pytest.raises(DeadlineUnreachable):
                await batcher.submit(Numbers([3]), timeout_seconds=0.2)
        else:
            accepted = asyncio.create_task(batcher.submit(Numbers([3]), timeout_seconds=0.2))
            doubler.free.set()
            assert joined(await accepted) == [6]
        doubler.free.set()
        await held

    play(scenario)


def test_the_wait_leaves_time_before_a_deadline() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        assert joined(await batcher.submit(Numbers([4]), timeout_seconds=2)) == [8]

    play(scenario, wait_seconds=60)


def test_interactive_calls_go_before_bulk_ones_that_came_first() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        bulk = asyncio.create_task(batcher.submit(Numbers(range(100, 116)), bulk=True))
        await asyncio.sleep(0)
        interactive = asyncio.create_task(batcher.submit(Numbers([1, 2, 3])))
        await asyncio.sleep(0)
        doubler.free.set()
        assert joined(await interactive) == [2, 4, 6]
        assert joined(await bulk) == [2 * i for i in range(100, 116)]
        await held

    batches = play(scenario).batches
    assert [len(rows) for rows in batches[1]] == [3, 1]  # bulk fills what is left: all batches seem to take as long


def test_interactive_rows_run_alone_where_a_row_costs_the_same_in_any_batch() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        doubler.row_seconds = 0.02
        for rows in (1, 4):
            await batcher.submit(Numbers(range(rows)))
        held = await hold(batcher, doubler)
        bulk = asyncio.create_task(batcher.submit(Numbers(range(100, 116)), bulk=True))
        interactive = asyncio.create_task(batcher.submit(Numbers([1])))
        await asyncio.sleep(0)
        doubler.free.set()
        assert joined(await interactive) == [2]
        await asyncio.gather(bulk, held)

    batches = play(scenario).batches
    assert [[len(rows) for rows in batch] for batch in batches[3:]] == [[1], [4], [4], [4], [4]]


def test_bulk_keeps_a_share_beside_an_endless_crowd() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        async def eager() -> None:
            while not bulk.done():
                await batcher.submit(Numbers([1, 2, 3]))

        bulk = asyncio.create_task(batcher.submit(Numbers(range(100, 120)), bulk=True))
        await asyncio.gather(*(eager() for _ in range(12)))
        assert joined(await bulk) == [2 * i for i in range(100, 120)]

    batches = play(scenario).batches
    assert len(batches) < 60  # half a row of each batch, and then the crowd


def test_a_patient_call_waits_for_room_and_others_are_refused() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        waiting = asyncio.create_task(batcher.submit(Numbers([1, 2, 3])))
        await asyncio.sleep(0)
        patient = [asyncio.create_task(batcher.submit(Numbers([4 + i]), bulk=True, patient=True)) for i in range(5)]
        gone = asyncio.create_task(batcher.submit(Numbers([9]), patient=True))
        late = asyncio.create_task(batcher.submit(Numbers([10]), 0.01, patient=True))
        await asyncio.sleep(0.03)
        gone.cancel()
        with pytest.raises(DeadlinePassed):
            await late
        with pytest.raises(Overloaded):
            await batcher.submit(Numbers([8]))
        doubler.free.set()
        assert [joined(await task) for task in patient] == [[8], [10], [12], [14], [16]]
        assert joined(await waiting) == [2, 4, 6]
        await held

    assert 9 not in play(scenario, queue_rows=3).rows_run


def test_bulk_calls_leave_room_in_the_queue_for_others() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        bulk = [asyncio.create_task(batcher.submit(Numbers([i] * 2), bulk=True, patient=True)) for i in range(9)]
        await asyncio.sleep(0)
        assert batcher.waiting_rows == 6
        with pytest.raises(Overloaded):
            await batcher.submit(Numbers([9]), bulk=True)
        interactive = asyncio.create_task(batcher.submit(Numbers([10, 11])))
        await asyncio.sleep(0)
        assert batcher.waiting_rows == 8
        doubler.free.set()
        assert joined(await interactive) == [20, 22]
        assert [joined(await task) for task in bulk] == [[2 * i] * 2 for i in range(9)]
        assert joined(await batcher.submit(Numbers(range(8)), bulk=True)) == list(range(0, 16, 2))  # the whole queue
        await held

    play(scenario, queue_rows=8)


@pytest.mark.parametrize("others_are_bulk", [False, True])
def test_a_large_bulk_call_is_not_kept_out_of_the_queue_by_a_crowd(others_are_bulk: bool) -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        async def eager() -> None:
            while not large.done():
                try:
                    await batcher.submit(Numbers([1, 2]), bulk=others_are_bulk, patient=others_are_bulk)
                except Overloaded:
                    await asyncio.sleep(0.001)  # who spins keeps Python's lock from the device's thread

        held = await hold(batcher, doubler)
        crowd = [asyncio.create_task(batcher.submit(Numbers([1, 2]), bulk=others_are_bulk)) for _ in range(6)]
        await asyncio.sleep(0)
        large = asyncio.create_task(batcher.submit(Numbers(range(10)), 60, bulk=True, patient=True))
        await asyncio.sleep(0)
        doubler.free.set()
        await asyncio.gather(*(eager() for _ in range(20)))
        assert joined(await large) == list(range(0, 20, 2))
        await asyncio.gather(held, *crowd)

    play(scenario, queue_rows=16)


def test_a_patient_call_that_can_never_fit_is_refused() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        with pytest.raises(Overloaded):
            await batcher.submit(Numbers(range(9)), patient=True)

    play(scenario, queue_rows=8)


def test_closing_answers_those_who_wait_for_room() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        tasks = [asyncio.create_task(batcher.submit(Numbers([i]), patient=True)) for i in range(4)]
        await asyncio.sleep(0)
        await batcher.close()
        for task in (held, *tasks):
            with pytest.raises(ShuttingDown):
                await task

    play(scenario, queue_rows=2)


def test_a_deadline_that_cannot_be_met_is_refused_at_the_door() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        doubler.seconds = 0.1
        await batcher.submit(Numbers([0, 1, 2, 3]))  # so that it knows how long a batch takes
        crowd = [
            asyncio.create_task(batcher.submit(Numbers([10 * i, 10 * i + 1, 10 * i + 2, 10 * i + 3])))
            for i in range(1, 8)
        ]
        await asyncio.sleep(0)
        with pytest.raises(DeadlineUnreachable):
            await batcher.submit(Numbers([90]), timeout_seconds=0.15)
        assert joined(await batcher.submit(Numbers([91]), timeout_seconds=60)) == [182]
        await asyncio.gather(*crowd)
        assert batcher.tally.refused_unreachable == 1
        assert joined(await batcher.submit(Numbers([92]), timeout_seconds=0.09)) == [184]  # idle: worth a try

    assert 90 not in play(scenario).rows_run


def test_rows_are_counted_by_what_became_of_them() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        late = asyncio.create_task(batcher.submit(Numbers([1, 2]), timeout_seconds=0.01))
        gone = asyncio.create_task(batcher.submit(Numbers([3, 4, 5])))
        await asyncio.sleep(0.03)
        gone.cancel()
        held.cancel()
        doubler.free.set()
        await asyncio.wait([late, gone, held])
        await batcher.submit(Numbers([6]))
        tally = batcher.tally
        assert (tally.late_rows, tally.cancelled_rows, tally.wasted_rows) == (2, 3, 1)
        assert tally.batch_rows.total == 2

    play(scenario)


def test_a_batch_is_interrupted_once_nobody_wants_it() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        first, second = (asyncio.create_task(batcher.submit(Numbers([i]))) for i in (1, 2))
        await asyncio.sleep(0)
        doubler.endless_on = 1
        doubler.busy.clear()
        doubler.free.set()
        await held
        assert await asyncio.to_thread(doubler.busy.wait, 10)
        first.cancel()
        await asyncio.sleep(0.01)
        was_early = doubler.was_interrupted
        second.cancel()
        await asyncio.sleep(0)
        assert joined(await batcher.submit(Numbers([3]))) == [6]
        assert (was_early, doubler.was_interrupted) == (False, True)
        assert batcher.tally.wasted_rows == 2

    play(scenario)


def test_a_batch_that_runs_out_of_memory_is_tried_again_in_halves() -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        held = await hold(batcher, doubler)
        tasks = [asyncio.create_task(batcher.submit(Numbers(rows))) for rows in ([1], [2, 3, 4], [5, 6, 7, 8])]
        await asyncio.sleep(0)
        doubler.memory_rows = 2
        doubler.free.set()
        assert [joined(await task) for task in (held, *tasks)] == [[0], [2], [4, 6, 8], [10, 12, 14, 16]]
        doubler.memory_rows = 0
        with pytest.raises(OutOfMemory):
            await batcher.submit(Numbers([1, 2]))
        doubler.memory_rows = 100
        assert joined(await batcher.submit(Numbers([9]))) == [18]

    play(scenario)


def test_rows_that_come_out_broken_fail_their_call_alone_and_are_named() -> None:
    async def run() -> None:
        def break_seven(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int] | NonFiniteOutput]:
            return [
                NonFiniteOutput("decoder", [rows.index(7)]) if 7 in rows else [2 * row for row in rows]
                for rows in batch
            ]

        device = Device()
        batcher: Batcher[Numbers, list[int]] = Batcher(break_seven, device, batch_rows=4, queue_rows=99)
        broken, sound = (asyncio.create_task(batcher.submit(Numbers(rows))) for rows in (range(10), [20]))
        with pytest.raises(NonFiniteOutput, match=r"answers NaN or infinity for row 7$"):
            await broken
        assert joined(await sound) == [40]
        assert batcher.tally.non_finite_rows == 1
        await batcher.close()
        device.close()

    asyncio.run(run())


def test_executors_run_side_by_side() -> None:
    async def run() -> None:
        together, device = threading.Barrier(2, timeout=10), Device(slots=2)

        def meet(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
            together.wait()
            return [list(rows) for rows in batch]

        batcher: Batcher[Numbers, list[int]] = Batcher(meet, device, batch_rows=1, queue_rows=9, inline_seconds=0)
        await asyncio.gather(*(batcher.submit(Numbers([i])) for i in range(4)))
        await batcher.close()
        device.close()

    asyncio.run(run())


def test_parts_that_end_out_of_order_are_answered_in_order() -> None:
    async def run() -> None:
        first_may_end, device = threading.Event(), Device(slots=2)

        def overtake(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
            if 0 in batch[0]:
                assert first_may_end.wait(10)
            elif 3 in batch[0]:
                first_may_end.set()
            return [list(rows) for rows in batch]

        batcher: Batcher[Numbers, list[int]] = Batcher(overtake, device, batch_rows=1, queue_rows=9, inline_seconds=0)
        assert joined(await batcher.submit(Numbers(range(4)))) == [0, 1, 2, 3]
        await batcher.close()
        device.close()

    asyncio.run(run())


def test_short_batches_run_on_the_event_loop_once_they_are_known() -> None:
    async def run() -> None:
        device, threads = Device(), []

        def note(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
            threads.append(threading.get_ident())
            return [list(rows) for rows in batch]

        batcher: Batcher[Numbers, list[int]] = Batcher(note, device, batch_rows=1, queue_rows=9, inline_seconds=10)
        for _ in range(2):
            await batcher.submit(Numbers([1]))
        assert threads[0] != threads[1] == threading.get_ident()
        await batcher.close()
        device.close()

    asyncio.run(run())


def test_a_lone_short_call_is_answered_at_once_and_a_crowd_is_noticed() -> None:
    async def run() -> None:
        batches: list[int] = []

        def note(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
            batches.append(len(batch))
            return [[2 * number for number in rows] for rows in batch]

        device = Device()
        batcher: Batcher[Numbers, list[int]] = Batcher(note, device, batch_rows=8, queue_rows=99, inline_seconds=10)
        for _ in range(60):
            await batcher.submit(Numbers([1]))
        futures = [batcher.enqueue(Numbers([1])) for _ in range(3)]
        assert any(future.done() for future in futures)
        for _ in range(20):
            batches.clear()
            answers = await asyncio.gather(*(batcher.submit(Numbers([i])) for i in range(8)))
            assert [joined(answer) for answer in answers] == [[2 * i] for i in range(8)]
        assert batches == [8]
        await batcher.close()
        device.close()

    asyncio.run(run())


Call = st.tuples(st.integers(1, 9), st.booleans(), st.integers(0, 3))


@settings(deadline=None, max_examples=60)
@given(calls=st.lists(Call, min_size=1, max_size=25), batch_rows=st.integers(1, 8), queue_rows=st.integers(9, 60))
def test_every_call_gets_its_own_rows_whatever_the_others_do(
    calls: list[tuple[int, bool, int]], batch_rows: int, queue_rows: int
) -> None:
    async def scenario(batcher: Batcher[Numbers, list[int]], doubler: Doubler) -> None:
        tasks = []
        for index, (rows, is_cancelled, turns) in enumerate(calls):
            task = asyncio.create_task(batcher.submit(Numbers(range(100 * index, 100 * index + rows))))
            tasks.append(task)
            for _ in range(turns):
                await asyncio.sleep(0)
            if is_cancelled:
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for index, ((rows, is_cancelled, _), result) in enumerate(zip(calls, results, strict=True)):
            if isinstance(result, BaseException):
                assert isinstance(result, Overloaded | asyncio.CancelledError if is_cancelled else VaeError)
            else:
                assert joined(result) == [2 * number for number in range(100 * index, 100 * index + rows)]
        assert batcher.waiting_rows == 0

    doubler = play(scenario, batch_rows=batch_rows, queue_rows=queue_rows)
    assert all(0 < sum(map(len, batch)) <= batch_rows for batch in doubler.batches)
    assert len(set(doubler.rows_run)) == len(doubler.rows_run)
