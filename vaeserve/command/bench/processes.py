"""Worker processes that send the calls, so that nothing else in this command takes their time.

They are spawned because gRPC does not survive a fork. An interrupt ends a point early; its measurements are kept.
"""

import argparse
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from time import monotonic
from types import FrameType, TracebackType
from typing import Self

from vaeserve.client.channel import connection
from vaeserve.command.bench.loops import LoadShare, ShareOutcome, measure, runner
from vaeserve.command.bench.plan import BenchPlan, LoadPoint
from vaeserve.command.options import read_connection
from vaeserve.errors import VaeError

_HEAD_START_SECONDS = 0.02  # for the start time to reach every process
_LOOK_SECONDS = 0.1


class Processes:
    """Worker processes. While they are open, the first SIGINT ends the current point and the second ends the command.

    Args:
        count: how many.
        options: how the server is reached, as `read_connection` takes it.

    Attributes:
        was_interrupted: Whether SIGINT has come.
    """

    def __init__(self, count: int, options: argparse.Namespace) -> None:
        self.was_interrupted = False
        self._pipes: list[Pipe] = []
        spawning = multiprocessing.get_context("spawn")
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the workers inherit this: they end when told to
        for _ in range(count):
            pipe, theirs = spawning.Pipe()
            spawning.Process(target=_work, args=(theirs, options), daemon=True).start()
            theirs.close()
            self._pipes.append(pipe)
        signal.signal(signal.SIGINT, self._note)

    def run(
        self, plan: BenchPlan, point: LoadPoint, requests: list[bytes], watch: Callable[[float], None]
    ) -> tuple[float, list[ShareOutcome]]:
        """Runs a point.

        Args:
            plan: the run.
            point: the point to run.
            requests: serialised, sent in turn.
            watch: called a few times per second with the number of seconds that have passed.

        Returns:
            When the measurement began, on the monotonic clock, and the outcome of each process's share.

        Raises:
            VaeError: a worker process has died.
        """
        for number, pipe in enumerate(self._pipes):
            load = point.load.share(number, plan.processes)
            times = plan.warmup_seconds, plan.duration_seconds, plan.deadline_seconds
            _tell(pipe, LoadShare(plan.rpc, requests, load, *times))
        for pipe in self._pipes:
            _hear(pipe)
        start = monotonic() + _HEAD_START_SECONDS
        for pipe in self._pipes:
            _tell(pipe, start)
        return start + plan.warmup_seconds, list(self._outcomes(start, watch))

    def _outcomes(self, start: float, watch: Callable[[float], None]) -> Iterator[ShareOutcome]:
        running, is_stopping = list(self._pipes), False
        while running:
            for pipe in wait(running, _LOOK_SECONDS):
                assert isinstance(pipe, Pipe)
                running.remove(pipe)
                yield _hear(pipe)
            if self.was_interrupted and not is_stopping:
                is_stopping = True
                for pipe in running:
                    _tell(pipe, None)
            watch(monotonic() - start)

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Notes an interrupt. The next one ends the command."""
        self.was_interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for pipe in self._pipes:
            pipe.close()


def _work(pipe: Pipe, options: argparse.Namespace) -> None:
    """Runs the shares that arrive, until None arrives or the command is gone."""
    to = connection(**read_connection(options))
    with suppress(EOFError, OSError), runner() as loop:
        while (share := pipe.recv()) is not None:
            pipe.send(None)
            start = pipe.recv()
            pipe.send(loop.run(measure(to, share, start, pipe.fileno())))


def _tell(pipe: Pipe, message: LoadShare | float | None) -> None:
    try:
        pipe.send(message)
    except OSError as exc:
        raise _died() from exc


def _hear(pipe: Pipe) -> ShareOutcome:
    try:
        outcome: ShareOutcome = pipe.recv()
    except (EOFError, OSError) as exc:
        raise _died() from exc
    return outcome


def _died() -> VaeError:
    return VaeError("a worker process died")
