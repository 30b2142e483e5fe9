"""Samples: which rows of a SampleStream are still to come, and how to ask for them again. Does no I/O."""

from collections.abc import Sequence
from functools import partial
from typing import Unpack, cast

from vaeserve.client import calls
from vaeserve.client.call import choose_seed
from vaeserve.client.conversation import Join
from vaeserve.client.description import Model
from vaeserve.client.options import DrawOptions, refuse_unknown
from vaeserve.client.results import Sampled
from vaeserve.client.scalars import integer
from vaeserve.errors import CallError
from vaeserve.rows.noise import ROW_LIMIT
from vaeserve.v1 import vae_pb2 as pb

_UNLIMITED = 2**128  # rows: more than have numbers, even if each counts as many


class Samples:
    """The rows of a SampleStream that are still to come.

    Args:
        count: number of rows.
        message_rows: maximum number of rows in a message; 0: chosen by the server.
        seed: of all rows; picked if None.
        first_row: number of the first row.
        **options: as of `calls.sample`.

    Raises:
        InvalidInput: an option is out of range.
    """

    def __init__(
        self,
        count: int,
        message_rows: int = 0,
        *,
        seed: int | None = None,
        first_row: int = 0,
        **options: Unpack[DrawOptions],
    ) -> None:
        refuse_unknown("sample_stream", options, DrawOptions)
        self._sample = partial(calls.sample, seed=choose_seed(seed), **options)
        self.route = self._sample(count, first_row=first_row).route
        self._left = count
        self._next = first_row
        self._message_rows = integer("message_rows", message_rows, ROW_LIMIT)

    @property
    def is_done(self) -> bool:
        """Whether every row has come."""
        return not self._left

    def request(self, model: Model) -> pb.SampleStreamRequest:
        """Returns the request for the remaining rows."""
        unlimited = model.model_copy(update={"limits": model.limits.model_copy(update={"call_rows": _UNLIMITED})})
        (request,) = self._sample(self._left, first_row=self._next).requests(unlimited)
        return pb.SampleStreamRequest(request=cast(pb.SampleRequest, request), message_rows=self._message_rows)

    def receive(
        self, message: pb.SampleStreamResponse, join: Join[pb.SampleResponse, Sampled], model: Model
    ) -> Sampled:
        """Returns the next rows.

        Raises:
            CallError: INTERNAL; the server sent other rows.
        """
        rows = _rows_of(message.response)
        if message.first_row != self._next or not 0 < rows <= self._left:
            raise CallError(
                "INTERNAL",
                f"the server answered {rows} rows from row {message.first_row}; the next row is {self._next}",
            )
        call = self._sample(rows, first_row=self._next)
        self._next += rows
        self._left -= rows
        return join(call, model, [message.response])


def _rows_of(response: pb.SampleResponse) -> int:
    shapes: Sequence[Sequence[int]] = (response.data.shape, response.expectation.shape)
    return next((shape[0] for shape in shapes if shape), len(response.images.images))
