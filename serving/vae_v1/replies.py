"""Replies: in what order a stream's replies are written, and which of them travel together."""

from collections import deque
from typing import Generic

from serving.vae_v1.rpcs import A
from serving.vae_v1.stream_kinds import MESSAGE_BYTES, Pending, Reply


class Replies(Generic[A, Reply]):
    """The calls of one stream whose replies are not written yet, in the order in which they will be."""

    def __init__(self) -> None:
        self.any_order = False
        """Whether replies are written as they come, and not in the order of their calls."""
        self._line: deque[Pending[A, Reply]] = deque()

    def expect(self, pending: Pending[A, Reply]) -> None:
        """Takes in a call that arrived."""
        if not self.any_order:
            self._line.append(pending)

    def add(self, pending: Pending[A, Reply]) -> None:
        """Takes in a call whose reply is ready."""
        if self.any_order:
            self._line.append(pending)

    def take_ready(self) -> list[Pending[A, Reply]]:
        """Takes the next ones: as many as are ready and make a message of a good size, or one that is larger."""
        batch: list[Pending[A, Reply]] = []
        size = 0
        while self._line and self._line[0].reply is not None:
            size += self._line[0].size
            if batch and size > MESSAGE_BYTES:
                break
            batch.append(self._line.popleft())
        return batch
