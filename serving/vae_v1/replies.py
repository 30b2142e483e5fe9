"""Replies: in what order a stream's replies are written, and which of them share a message."""

from collections import deque

from serving.vae_v1.streams import MESSAGE_BYTES, StreamCall


class Replies:
    """The calls of one stream whose replies are not written yet, in the order in which they will be."""

    def __init__(self) -> None:
        self.any_order = False
        """Whether replies are written as they become ready, not in the order of their calls."""
        self._line: deque[StreamCall] = deque()

    def expect(self, call: StreamCall) -> None:
        """Adds a call that has arrived."""
        if not self.any_order:
            self._line.append(call)

    def add(self, call: StreamCall) -> None:
        """Adds a call whose reply is ready."""
        if self.any_order:
            self._line.append(call)

    def take_ready(self) -> list[StreamCall]:
        """Takes the next calls whose replies are ready and fit in one message; a larger reply travels alone."""
        batch: list[StreamCall] = []
        size = 0
        while self._line and self._line[0].reply is not None:
            size += self._line[0].size
            if batch and size > MESSAGE_BYTES:
                break
            batch.append(self._line.popleft())
        return batch
