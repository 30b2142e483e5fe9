"""Stride: how many rows a part may hold, so that the answer of a slow model comes well within the deadline."""

from typing import cast

from google.protobuf.message import Message

from vaeserve.client.description import Model
from vaeserve.client.results import Costed
from vaeserve.rows.noise import ROW_LIMIT
from vaeserve.v1 import vae_pb2 as pb

_SHARE = 1 / 4  # of the deadline, that a part is to take by what is known: other callers may be ahead of it


class Stride:
    """Follows what the server says a row takes: as it loaded the model, then in every answer.

    Args:
        model: tells how long a row took when it was loaded; if it does not, parts are as large as the limits allow.
        deadline_seconds: of a part.
        parallel: how many parts are on their way at once.
    """

    def __init__(self, model: Model, deadline_seconds: float, parallel: int = 1) -> None:
        self.model = model
        self._budget_seconds = _SHARE * deadline_seconds
        self._parallel = parallel
        self._row_seconds = model.execution.row_seconds if model.execution else 0.0

    @property
    def in_time(self) -> int:
        """How many rows are answered well within the deadline, at least 1."""
        if not self._row_seconds:
            return ROW_LIMIT
        return max(1, int(min(ROW_LIMIT, self._budget_seconds / self._row_seconds)))

    def rows(self, left: int) -> int:
        """Returns how many of the rows that are left the next part may hold, at least 1."""
        return left if left <= self.in_time else max(1, self.in_time // self._parallel)

    def learn(self, request: Message, reply: Message) -> None:
        """Takes in how long the rows of an answered request ran, in batches that they shared with other callers."""
        microseconds = cast(Costed, reply).timing.running_microseconds
        if microseconds:
            self._row_seconds = microseconds / 1e6 / rows_of(request)


def rows_of(request: Message) -> int:
    """Returns how many rows a request holds."""
    if isinstance(request, pb.SampleRequest):
        return request.count
    if isinstance(request, pb.DecodeRequest):
        return request.latent.shape[0]
    sent = cast(pb.EncodeRequest | pb.ReconstructRequest, request)
    return sent.data.shape[0] if sent.HasField("data") else len(sent.images.images)
