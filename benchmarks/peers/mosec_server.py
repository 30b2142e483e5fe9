"""What mosec's worker runs, in mosec's environment; mosec reads the command line.

The worker waits a millisecond for more calls than one, which is the minimum where calls are joined at all.
"""

import os
from collections.abc import Sequence

import numpy as np
from mosec import Server, Worker

from benchmarks.peers.joined import Decoder, Rows

CALLS, WAIT_MILLISECONDS = 64, 1


class DecodeWorker(Worker):  # type: ignore[misc]
    """Decodes the rows of all calls that wait."""

    def __init__(self) -> None:
        self._decoder = Decoder(os.environ["DECODER"])
        self._latent_size = int(os.environ["LATENT_SIZE"])

    def deserialize(self, data: bytes) -> Rows:
        """Reads a call's latents."""
        return np.frombuffer(data, np.float32).reshape(-1, self._latent_size)

    def serialize(self, data: Rows) -> bytes:
        """Writes an answer."""
        return data.tobytes()

    def forward(self, data: Sequence[Rows]) -> list[Rows]:
        """Answers each call."""
        return self._decoder.run_together(data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(DecodeWorker, max_batch_size=CALLS, max_wait_time=WAIT_MILLISECONDS)
    server.run()
