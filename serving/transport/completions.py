"""Completions: what gRPC tells of the operations that it was given, handled on the event loop.

While gRPC has something to tell, the event loop asks it once a turn. A thread waits for gRPC only while it has nothing,
because waking a thread and the loop for each operation would cost more than all else that a small call does.
"""

import asyncio
import logging
import threading
from collections.abc import Callable

from serving.transport.core import CompletionQueue, CompletionType, Event

_log = logging.getLogger(__name__)

_QUIET_TURNS = 3  # turns of the event loop in which gRPC has nothing to tell, before the thread waits for it
_TURN_EVENTS = 64  # handled in a turn; more wait, and so does everybody else meanwhile
_NOW = 0.0  # a deadline that has passed: gRPC does not wait


class Completions:
    """A completion queue of gRPC. Each event is handed to the function that its operation was started with.

    Args:
        break_down: called when gRPC hands over no more calls: nobody is served any more.
    """

    def __init__(self, break_down: Callable[[], None]) -> None:
        self.queue = CompletionQueue()
        self._break_down = break_down
        self._loop = asyncio.get_running_loop()
        self._quiet_turns = 0
        self._ended = asyncio.Event()
        self._may_wait = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._wait, name="grpc", daemon=True)

    def start(self) -> None:
        """Begins to handle what gRPC tells."""
        self._thread.start()

    async def close(self) -> None:
        """Ends once all operations have completed; none may be started any more."""
        self.queue.shutdown()
        await self._ended.wait()

    def _wait(self) -> None:
        """Waits for the next event, on the thread, and leaves those that follow to the event loop."""
        try:
            while (event := self.queue.poll()).completion_type != CompletionType.queue_shutdown:
                self._loop.call_soon_threadsafe(self._begin, event)
                del event  # it would be kept until the next one comes
                self._may_wait.acquire()
            self._loop.call_soon_threadsafe(self._ended.set)
        except Exception as exc:
            if not self._loop.is_closed():  # or nobody is left who could be told
                self._loop.call_soon_threadsafe(self._fail, exc)

    def _begin(self, event: Event) -> None:
        _handle(event)
        del event
        self._quiet_turns = 0
        self._turn()

    def _turn(self) -> None:
        """Handles what gRPC has to tell in this turn of the event loop."""
        try:
            handled = self._handle_some()
        except Exception as exc:
            return self._fail(exc)
        self._quiet_turns = 0 if handled else self._quiet_turns + 1
        if self._quiet_turns < _QUIET_TURNS:
            self._loop.call_soon(self._turn)
        else:
            self._may_wait.release()

    def _handle_some(self) -> int:
        """Handles the events that are there, up to a limit. Returns how many."""
        for handled in range(_TURN_EVENTS):
            event = self.queue.poll(_NOW)
            if event.completion_type != CompletionType.operation_complete:
                return handled
            _handle(event)
        return _TURN_EVENTS

    def _fail(self, error: Exception) -> None:
        _log.critical("gRPC hands over no more calls", exc_info=error)
        self._break_down()


def _handle(event: Event) -> None:
    try:
        event.tag(event)
    except Exception:  # it would end the handling of all others
        _log.exception("handling an event of gRPC failed. This is a bug.")
