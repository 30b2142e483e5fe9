"""Rows of a request run in batches: which, how many at once, and what becomes of those that fail."""

import threading
import time
from collections.abc import Sequence

import pytest

from serving.interrupt import Interrupt
from serving.local.batches import BatchRunner
from serving.models.execution import Execution
from tests.serving.conftest import Doubler, Numbers, joined
from tests.support.servers import until
from vaeserve.errors import CallError, NonFiniteOutput, OutOfMemory


def batches(executors: int = 1, batch_rows: int = 4) -> BatchRunner:
    return BatchRunner(Execution(executors, 1, batch_rows, "set"))


def test_rows_run_in_batches_and_come_back_in_order() -> None:
    doubler = Doubler()
    answer = batches().run(doubler, Numbers(range(10)))
    assert [[list(rows) for rows in batch] for batch in doubler.batches] == [[[0, 1, 2, 3]], [[4, 5, 6, 7]], [[8, 9]]]
    assert joined(answer) == [2 * number for number in range(10)]
    assert answer.batch_rows == 4
    assert answer.running_seconds >= 0
    assert answer.queued_seconds >= 0


@pytest.mark.parametrize("rows", [4, 40])
def test_as_many_batches_run_at_once_as_there_are_executors(rows: int) -> None:
    running, most, lock, may_end = 0, 0, threading.Lock(), threading.Event()

    def run(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int]]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        assert may_end.wait(60)
        with lock:
            running -= 1
        return [list(numbers) for numbers in batch]

    own = batches(executors=2)
    callers = [threading.Thread(target=own.run, args=(run, Numbers(range(rows)))) for _ in range(4)]
    for caller in callers:
        caller.start()
    until(lambda: running >= 2)
    time.sleep(0.05)  # for others to begin, if they would
    may_end.set()
    for caller in callers:
        caller.join()
    assert most == 2


def test_a_batch_that_runs_out_of_memory_is_tried_again_in_halves() -> None:
    doubler = Doubler()
    doubler.memory_rows = 1
    answer = batches().run(doubler, Numbers(range(6)))
    assert joined(answer) == [0, 2, 4, 6, 8, 10]
    doubler.memory_rows = 0
    with pytest.raises(OutOfMemory):
        batches().run(doubler, Numbers(range(6)))


def test_a_row_that_has_no_answer_is_counted_from_the_first_of_the_call() -> None:
    def run(batch: Sequence[Numbers], interrupt: Interrupt | None) -> list[list[int] | NonFiniteOutput]:
        (rows,) = batch
        return [NonFiniteOutput("decoder", [rows.index(6)]) if 6 in rows else list(rows)]

    with pytest.raises(NonFiniteOutput, match="the decoder answers NaN or infinity for row 6"):
        batches().run(run, Numbers(range(10)))


@pytest.mark.parametrize("rows", [4, 40])
def test_nothing_begins_after_the_end(rows: int) -> None:
    doubler, ended = Doubler(), batches()
    ended.close()
    with pytest.raises(CallError, match="CANCELLED: the client is closed"):
        ended.run(doubler, Numbers(range(rows)))
    assert doubler.batches == []


def test_closing_ends_a_request_after_the_batch_that_runs() -> None:
    doubler, ending = Doubler(), batches()
    doubler.free.clear()
    errors: list[Exception] = []

    def call() -> None:
        try:
            ending.run(doubler, Numbers(range(10)))
        except CallError as exc:
            errors.append(exc)

    caller = threading.Thread(target=call)
    caller.start()
    assert doubler.busy.wait(60)
    ending.close()
    doubler.free.set()
    caller.join()
    assert until(lambda: errors)[0].code == "CANCELLED"  # type: ignore[attr-defined]
    assert doubler.rows_run == [0, 1, 2, 3]
