"""Runs a decoder on the rows of several calls at once. It is run in the peers' environments too.

The session's options are those of `vae serve` with one thread.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

Rows = npt.NDArray[np.float32]


class Decoder:
    """A decoder in ONNX Runtime."""

    def __init__(self, graph: Path | str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])

    def run(self, latent: Rows) -> Rows:
        """Decodes rows."""
        decoded: Rows = self._session.run(["expectation"], {"latent": latent})[0]
        return decoded

    def run_together(self, calls: Sequence[Rows]) -> list[Rows]:
        """Decodes the rows of each call, all of them in one batch."""
        if len(calls) == 1:
            return [self.run(calls[0])]
        ends = np.cumsum([len(rows) for rows in calls])
        return np.split(self.run(np.concatenate(calls)), ends[:-1])
