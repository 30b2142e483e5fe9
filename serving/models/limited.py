"""Limited: work on its own thread, stopped when it takes too long, and abandoned if it cannot be stopped."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from serving.interrupt import Interrupt
from vaeserve.errors import PackageError

_log = logging.getLogger(__name__)

_SHORT_SECONDS = 30.0  # before that, nothing is logged
_STOP_SECONDS = 5.0  # for interrupted work to end: between two nodes of a graph it ends at once

T = TypeVar("T")


async def run_limited(name: str, work: Callable[[Interrupt], T], seconds: float) -> T:
    """Returns the result of some work.

    Args:
        name: what the work is, for the log and for errors.
        work: what to run, given the interrupt that stops it.
        seconds: maximum time that it may take.

    Raises:
        PackageError: it took longer. Where it could not be stopped, its thread goes on.
    """
    interrupt, outcome = Interrupt(), Future[T]()

    def run() -> None:
        try:
            outcome.set_result(work(interrupt))
        except BaseException as exc:  # the waiter gets it
            outcome.set_exception(exc)

    threading.Thread(target=run, name="loader", daemon=True).start()  # a daemon does not keep the process alive
    waiting = asyncio.wrap_future(outcome)
    waiting.add_done_callback(lambda done: done.cancelled() or done.exception())  # retrieved, in case nobody asks
    silent = min(_SHORT_SECONDS, seconds)
    if not await _ends(waiting, silent) and silent < seconds:
        _log.warning("%s takes long; it is stopped after %g s (load_seconds)", name, seconds)
    if not await _ends(waiting, seconds - silent):
        interrupt.set()
        late = f"{name} took more than {seconds:g} s (load_seconds)"
        if not await _ends(waiting, _STOP_SECONDS):
            raise PackageError(f"{late} and cannot be stopped: its thread and its memory are given up")
        if waiting.exception():
            raise PackageError(f"{late} and was stopped")
    return waiting.result()


async def _ends(waiting: "asyncio.Future[T]", seconds: float) -> bool:
    """Waits so long at most. Returns whether it has ended."""
    done, _ = await asyncio.wait({waiting}, timeout=seconds)
    return bool(done)
