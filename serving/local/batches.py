"""BatchRunner: runs the rows of one request in batches, several at the same time where that is faster."""

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
from vaeserve.slices import Slices, rows_that_fit


class _BatchRun(NamedTuple, Generic[A]):
    """One batch that ran."""

    answer: A
    began: float
    seconds: float
    rows: int


class BatchRunner:
    """Runs rows, for any number of threads. No more batches run at once than the execution says, whoever asks.

    Args:
        execution: maximum number of batches that run at the same time, and of rows in one of them.
    """

    def __init__(self, execution: Execution) -> None:
        self._batch_rows = execution.batch_rows
        self._slots = threading.BoundedSemaphore(execution.executors)
        self._pool = ThreadPoolExecutor(execution.executors, "local")
        self._is_closed = False

    def run(self, run: RunBatch[R, A], rows: R, weight: int = 1) -> Answer[A]:
        """Returns the answer to some rows. A batch that runs out of memory is tried again in halves.

        Args:
            run: runs a batch.
            rows: at least one row.
            weight: how many rows each counts as, where a batch takes so many.

        Raises:
            NonFiniteOutput: the answer to a row holds NaN or infinity.
            OutOfMemory: there is not enough memory for a single row.
            EngineFailure: a graph could not be run.
            CallError: CANCELLED, because this was closed.
        """
        arrived = time.perf_counter()
        runs = list(self._run_all(run, rows, rows_that_fit(self._batch_rows, weight)))
        return Answer(
            parts=[one.answer for one in runs],
            queued_seconds=max(one.began for one in runs) - arrived,
            running_seconds=sum(one.seconds for one in runs),
            batch_rows=max(one.rows for one in runs),
        )

    def close(self) -> None:
        """Lets the batches that run end. No other begins."""
        self._is_closed = True
        self._pool.shutdown(wait=False)

    def _run_all(self, run: RunBatch[R, A], rows: R, batch_rows: int) -> Iterator[_BatchRun[A]]:
        starts = range(0, len(rows), batch_rows)
        if len(starts) == 1:  # handing a small request to a thread would take longer than running it
            yield from self._run_some(run, rows, batch_rows, 0)
            return
        try:
            waiting = self._pool.map(partial(self._run_some, run, rows, batch_rows), starts)
        except RuntimeError as exc:
            if not self._is_closed:
                raise
            raise client_closed() from exc
        for runs in waiting:
            yield from runs

    def _run_some(self, run: RunBatch[R, A], rows: R, batch_rows: int, start: int) -> list[_BatchRun[A]]:
        """Runs the rows of one batch, in halves if there is not enough memory for all."""
        count = min(batch_rows, len(rows) - start)

        def run_part(part: slice) -> _BatchRun[A]:
            return self._run_batch(run, rows.part(start + part.start, start + part.stop), start + part.start)

        return list(Slices(count).run(run_part, count))

    def _run_batch(self, run: RunBatch[R, A], rows: R, start: int) -> _BatchRun[A]:
        with self._slots:
            if self._is_closed:
                raise client_closed()
            began = time.perf_counter()
            (answer,) = run([rows], None)
            seconds = time.perf_counter() - began
        if isinstance(answer, NonFiniteOutput):
            raise answer.after(start)
        return _BatchRun(answer, began, seconds, len(rows))
