"""Batches: the rows of one request, some at a time, as many times at once as the model is run here."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, NamedTuple

from serving.batching.call import A, Answer, R
from serving.batching.executor import RunBatch
from serving.models.execution import Execution
from vaeserve.client.failures import client_closed
from vaeserve.errors import NonFiniteOutput
from vaeserve.slices import Slices


class _Ran(NamedTuple, Generic[A]):
    """One batch that ran."""

    answer: A
    began: float
    seconds: float
    rows: int


class Batches:
    """Runs rows, for any number of threads. Batches of one request run side by side where that is faster.

    Args:
        execution: how many batches run at once, and how many rows one of them holds.
    """

    def __init__(self, execution: Execution) -> None:
        self._batch_rows = execution.batch_rows
        self._slots = threading.BoundedSemaphore(execution.executors)
        self._pool = ThreadPoolExecutor(execution.executors, "local")
        self._is_closed = False

    def run(self, run: RunBatch[R, A], rows: R) -> Answer[A]:
        """Returns the answer to some rows. A batch that runs out of memory is tried again in halves.

        Raises:
            NonFiniteOutput: the answer to a row holds NaN or infinity.
            OutOfMemory: there is no memory for a single row.
            EngineFailure: a graph could not be run.
            CallError: CANCELLED, because this was closed.
        """
        arrived = time.perf_counter()
        ran = list(self._run_all(run, rows))
        return Answer(
            parts=[one.answer for one in ran],
            queued_seconds=max(one.began for one in ran) - arrived,
            running_seconds=sum(one.seconds for one in ran),
            batch_rows=max(one.rows for one in ran),
        )

    def close(self) -> None:
        """Lets the batches that run end. No other begins."""
        self._is_closed = True
        self._pool.shutdown(wait=False)

    def _run_all(self, run: RunBatch[R, A], rows: R) -> Iterator[_Ran[A]]:
        starts = range(0, len(rows), self._batch_rows)
        if len(starts) == 1:  # handing a small request to a thread would take longer than running it
            yield from self._run_some(run, rows, 0)
            return
        try:
            waiting = self._pool.map(partial(self._run_some, run, rows), starts)
        except RuntimeError as exc:
            if not self._is_closed:
                raise
            raise client_closed() from exc
        for ran in waiting:
            yield from ran

    def _run_some(self, run: RunBatch[R, A], rows: R, start: int) -> list[_Ran[A]]:
        """Runs the rows of one batch, in halves if there is no memory for all."""
        count = min(self._batch_rows, len(rows) - start)

        def run_part(part: slice) -> _Ran[A]:
            return self._run_batch(run, rows.part(start + part.start, start + part.stop), start + part.start)

        return list(Slices(count).run(run_part, count))

    def _run_batch(self, run: RunBatch[R, A], rows: R, start: int) -> _Ran[A]:
        with self._slots:
            if self._is_closed:
                raise client_closed()
            began = time.perf_counter()
            (answer,) = run([rows], None)
            seconds = time.perf_counter() - began
        if isinstance(answer, NonFiniteOutput):
            raise answer.after(start)
        return _Ran(answer, began, seconds, len(rows))
