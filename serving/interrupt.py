"""Interrupt: how the event loop stops a batch that runs on another thread, once nobody wants it any more."""

from collections.abc import Callable


class Interrupt:
    """Set once. What is attached runs when it is set, or at once if it was."""

    __slots__ = ("_stop", "is_set")

    def __init__(self) -> None:
        self.is_set = False
        self._stop: Callable[[], None] | None = None

    def set(self) -> None:
        """Stops what is attached."""
        self.is_set = True
        if self._stop is not None:
            self._stop()

    def attach(self, stop: Callable[[], None]) -> None:
        """Names what stops the work in progress; the next one takes its place."""
        self._stop = stop
        if self.is_set:
            stop()
