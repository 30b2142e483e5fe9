"""Stride: the number of rows in a part, so that even a slow model answers well within the deadline."""

from typing import cast

from google.protobuf.message import Message

from vaeserve.client.description import Model
from vaeserve.client.results import Costed
from vaeserve.rows.noise import ROW_LIMIT
from vaeserve.v1 import vae_pb2 as pb

_SHARE = 1 / 4  # of the deadline that a part is expected to take, because other callers may be ahead of it


class Stride:
    """Follows the time per row that the server reports: first from loading the model, then in every answer.

    Args:
        model: with the time per row when it was loaded; without one, parts are as large as the limits allow.
        deadline_seconds: deadline of a part.
        parallel: number of parts that are on their way at once.
    """

    def __init__(self, model: Model, deadline_seconds: float, parallel: int = 1) -> None:
        self.model = model
        self._budget_seconds = _SHARE * deadline_seconds
        self._parallel = parallel
        self._row_seconds = model.execution.row_seconds if model.execution else 0.0

    @property
    def in_time(self) -> int:
        """Number of rows, of the smallest size, that the server answers well within the deadline; at least 1."""
        if not self._row_seconds:
            return ROW_LIMIT
        return max(1, int(min(ROW_LIMIT, self._budget_seconds / self._row_seconds)))

    def rows(self, left: int) -> int:
        """Returns how many of the remaining rows the next part may hold, at least 1; all of the smallest size."""
        return left if left <= self.in_time else max(1, self.in_time // self._parallel)

    def learn(self, rows: int, reply: Message) -> None:
        """Notes how long the rows of a request ran, in batches that they shared with other callers.

        Args:
            rows: their number; where sizes are free, what they count as.
            reply: to the request.
        """
        microseconds = cast(Costed, reply).timing.running_microseconds
        if microseconds:
            self._row_seconds = microseconds / 1e6 / rows


def rows_of(request: Message) -> int:
    """Returns how many rows a request holds."""
    if isinstance(request, pb.SampleRequest):
        return request.count
    if isinstance(request, pb.DecodeRequest):
        return (request.codes if request.HasField("codes") else request.latent).shape[0]
    sent = cast(pb.EncodeRequest | pb.ReconstructRequest, request)
    return sent.data.shape[0] if sent.HasField("data") else len(sent.images.images)
