"""Requests to send, serialised once, so that sending them again costs next to nothing."""

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

import numpy as np
from google.protobuf.message import Message

from vaeserve.client import calls
from vaeserve.client.call import Route
from vaeserve.client.description import Model
from vaeserve.client.options import ModelOptions
from vaeserve.command.bench.plan import Rpc
from vaeserve.errors import InvalidInput
from vaeserve.package.manifest import DataSpec
from vaeserve.package.row_spec import Array

_MOST_REQUESTS, _MOST_BYTES = 16, 8 << 20  # distinct ones: enough that no cache flatters, few enough to send around


class Inputs(NamedTuple):
    """What every request of a run is made from."""

    rpc: Rpc
    to: Route
    """Model and version as the requests name them."""
    model: Model
    """What the requests must fit."""
    seed: int
    """Of synthetic rows, and of samples."""
    given: Array | None
    """Rows to send, in turn, in place of synthetic ones."""

    def serialise(self, rows: int) -> list[bytes]:
        """Returns a few different requests of so many rows each.

        Raises:
            InvalidInput: the rows given do not fit the model, or so many do not fit one call.
        """
        if rows > self.model.limits.call_rows:
            raise InvalidInput("rows", f"is {rows:,}, the server takes at most {self.model.limits.call_rows:,} a call")
        sent = self.model.latent if self.rpc in ("sample", "decode") else self.model.data
        count = min(_MOST_REQUESTS, max(1, _MOST_BYTES // sent.bytes_of(rows, "float32")))
        generator = np.random.default_rng(self.seed)
        return [self._request(number * rows, rows, generator) for number in range(count)]

    def _request(self, first: int, rows: int, generator: np.random.Generator) -> bytes:
        sampling = self.rpc == "sample"
        made = self._sampling(first, rows) if sampling else self._sending(self._take(first, rows, generator))
        parts = list(islice(made, 2))
        if len(parts) > 1:
            limit = self.model.limits.request_bytes
            raise InvalidInput("rows", f"is {rows:,}, the server's limit on a request is {limit:,} bytes")
        return parts[0].SerializeToString()

    def _take(self, first: int, rows: int, generator: np.random.Generator) -> Array:
        if self.given is not None:
            return self.given[np.arange(first, first + rows) % len(self.given)]
        if self.rpc == "decode":
            return generator.standard_normal((rows, *self.model.latent_shape), np.float32)
        return _synthetic(self.model.data, rows, generator)

    def _sending(self, sent: Array) -> Iterable[Message]:
        options: ModelOptions = {"model": self.to.model, "version": self.to.version}
        if self.rpc == "decode":
            return calls.decode(sent, **options).requests(self.model)
        if self.rpc == "encode":
            return calls.encode(sent, **options).requests(self.model)
        return calls.reconstruct(sent, **options).requests(self.model)

    def _sampling(self, first: int, rows: int) -> Iterable[Message]:
        model, version = self.to
        return calls.sample(rows, seed=self.seed, first_row=first, model=model, version=version).requests(self.model)


def _synthetic(spec: DataSpec, rows: int, generator: np.random.Generator) -> Array:
    """Returns rows of values spread evenly over the model's range, [rows, *spec.shape] of spec.dtype."""
    shape = (rows, *spec.shape)
    if spec.dtype == "uint8":
        return generator.integers(np.ceil(spec.minimum), np.floor(spec.maximum), shape, np.uint8, endpoint=True)
    low, high = np.float32(spec.minimum), np.float32(spec.maximum)
    return np.clip(generator.uniform(spec.minimum, spec.maximum, shape).astype(np.float32), low, high)
