"""What Triton's Python backend runs, in Triton's environment."""

import os
from collections.abc import Sequence
from typing import Any

import triton_python_backend_utils as triton

from benchmarks.peers.joined import Decoder


class TritonPythonModel:
    """Decodes the rows of all calls that wait."""

    def initialize(self, _arguments: dict[str, str]) -> None:
        """Opens the graph."""
        self._decoder = Decoder(os.environ["DECODER"])

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answers each call."""
        latents = [triton.get_input_tensor_by_name(request, "latent").as_numpy() for request in requests]
        decoded = self._decoder.run_together(latents)
        return [triton.InferenceResponse([triton.Tensor("expectation", rows)]) for rows in decoded]
