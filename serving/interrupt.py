"""Interrupt: how the event loop stops work on another thread, once nobody wants the result any more."""

from collections.abc import Callable


class Interrupt:
    """A flag that is set once. What is attached runs when it is set, or at once if it is set already."""

    __slots__ = ("_stop", "is_set")

    def __init__(self) -> None:
        self.is_set = False
        self._stop: Callable[[], None] | None = None

    def set(self) -> None:
        """Sets the flag, and stops what is attached."""
        self.is_set = True
        if self._stop is not None:
            self._stop()

    def attach(self, stop: Callable[[], None]) -> None:
        """Attaches what stops the work in progress, in place of what was attached before."""
        self._stop = stop
        if self.is_set:
            stop()
