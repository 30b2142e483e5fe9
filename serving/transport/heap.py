"""Heap: how far the process has grown, and giving freed memory back to the system."""

import asyncio
import ctypes
import gc
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from serving.transport.held import Held

_STATM = Path("/proc/self/statm")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_LOOK_SECONDS = 1.0
_LOOKS_AFTER_RELIEF = 5  # gRPC may free the messages that were given up some time later
_WORTH_BYTES = 16 * 2**20  # less than this is soon used again


class Heap:
    """The process's resident memory.

    The C library keeps freed memory for the next call; after a large call that is a lot. Without /proc the size reads
    as 0, without malloc_trim nothing is given back.

    Args:
        held: what callers hold.
    """

    def __init__(self, held: Held) -> None:
        self._held = held
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._floor_bytes = self._rest_bytes = resident_bytes()
        self._looks_due = 0  # looks that give memory back whatever callers hold

    @property
    def is_full(self) -> bool:
        """Whether the process has grown by more than callers may hold."""
        return resident_bytes() > self._floor_bytes + self._held.limit_bytes

    async def relieve(self) -> None:
        """Gives back the memory of calls that were just given up, now and at the next looks: gRPC frees it later."""
        self._looks_due = _LOOKS_AFTER_RELIEF
        await self.give_back()

    async def give_back(self) -> None:
        """Gives freed memory back to the system, on a thread. gRPC leaves cycles of frames that keep replies alive."""
        gc.collect()
        if self._trim is not None:
            await asyncio.to_thread(self._trim, 0)
        self._rest_bytes = resident_bytes()

    def settle(self) -> None:
        """Takes the present size, without what callers hold, as what the process itself needs."""
        self._floor_bytes = self._own_bytes()

    def _own_bytes(self) -> int:
        return resident_bytes() - self._held.bytes

    async def keep_small(self, is_quiet: Callable[[], bool]) -> None:
        """Gives memory back whenever callers have held less for a whole look. Runs as long as the process lives.

        Args:
            is_quiet: whether gRPC holds no half-read message, which nobody can count.
        """
        before, most = self._own_bytes(), 0
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            # Little is held between two calls of a steady load, too. Memory given back then would be needed at once.
            lately = self._held.take_peak()
            is_less = lately <= most // 2 and resident_bytes() > self._rest_bytes + _WORTH_BYTES
            if is_less or self._looks_due:
                self._looks_due = max(0, self._looks_due - 1)
                await self.give_back()
                most = lately
            most = max(most, lately)
            if is_quiet():
                self._floor_bytes = before  # gRPC has read by now what it was reading then
            before = self._own_bytes()


def resident_bytes() -> int:
    """Returns the process's resident memory."""
    with suppress(OSError):
        return int(_STATM.read_text().split()[1]) * _PAGE_BYTES
    return 0
