"""Processes of their own that send calls, so that nothing else of this command takes their time.

They are spawned, not forked: gRPC does not survive a fork. An interrupt ends a point early; what was measured is kept.
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
from vaeserve.command.bench.loops import Outcome, Share, measure, runner
from vaeserve.command.bench.plan import Plan, Point
from vaeserve.command.options import read_connection
from vaeserve.errors import VaeError

_HEAD_START_SECONDS = 0.02  # for the start time to reach every process
_LOOK_SECONDS = 0.1


class Processes:
    """Processes that send calls. While it is open, the first SIGINT ends the point that runs, the second the command.

    Args:
        count: how many.
        options: how the server is reached, as `read_connection` takes it.

    Attributes:
        was_interrupted: whether SIGINT has come.
    """

    def __init__(self, count: int, options: argparse.Namespace) -> None:
        self.was_interrupted = False
        self._pipes: list[Pipe] = []
        spawning = multiprocessing.get_context("spawn")
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: they end when they are told to
        for _ in range(count):
            pipe, theirs = spawning.Pipe()
            spawning.Process(target=_work, args=(theirs, options), daemon=True).start()
            theirs.close()
            self._pipes.append(pipe)
        signal.signal(signal.SIGINT, self._note)

    def run(
        self, plan: Plan, point: Point, requests: list[bytes], watch: Callable[[float], None]
    ) -> tuple[float, list[Outcome]]:
        """Runs a point.

        Args:
            plan: the run.
            point: a point of it.
            requests: serialised, to be sent in turn.
            watch: called a few times a second with how many seconds have passed.

        Returns:
            When the measurement began, on the monotonic clock, and what came of each process's share.

        Raises:
            VaeError: a process has died.
        """
        for number, pipe in enumerate(self._pipes):
            load = point.load.share(number, plan.processes)
            times = plan.warmup_seconds, plan.duration_seconds, plan.deadline_seconds
            _tell(pipe, Share(plan.rpc, requests, load, *times))
        for pipe in self._pipes:
            _hear(pipe)
        start = monotonic() + _HEAD_START_SECONDS
        for pipe in self._pipes:
            _tell(pipe, start)
        return start + plan.warmup_seconds, list(self._outcomes(start, watch))

    def _outcomes(self, start: float, watch: Callable[[float], None]) -> Iterator[Outcome]:
        running, told = list(self._pipes), False
        while running:
            for pipe in wait(running, _LOOK_SECONDS):
                assert isinstance(pipe, Pipe)
                running.remove(pipe)
                yield _hear(pipe)
            if self.was_interrupted and not told:
                told = True
                for pipe in running:
                    _tell(pipe, None)
            watch(monotonic() - start)

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Notes an interrupt; the next one ends the command."""
        self.was_interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for pipe in self._pipes:
            pipe.close()


def _work(pipe: Pipe, options: argparse.Namespace) -> None:
    """Sends shares of calls as it is told to, until it is told None or nobody is left to tell it."""
    to = connection(**read_connection(options))
    with suppress(EOFError, OSError), runner() as loop:
        while (share := pipe.recv()) is not None:
            pipe.send(None)
            start = pipe.recv()
            pipe.send(loop.run(measure(to, share, start, pipe.fileno())))


def _tell(pipe: Pipe, message: Share | float | None) -> None:
    try:
        pipe.send(message)
    except OSError as exc:
        raise _died() from exc


def _hear(pipe: Pipe) -> Outcome:
    try:
        outcome: Outcome = pipe.recv()
    except (EOFError, OSError) as exc:
        raise _died() from exc
    return outcome


def _died() -> VaeError:
    return VaeError("a process that sends calls has died")
