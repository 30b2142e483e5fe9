"""Requests to send, serialised once, so that sending them again costs almost nothing."""

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple, Self

import numpy as np
from google.protobuf.message import Message

from vaeserve.client import calls
from vaeserve.client.call import Route
from vaeserve.client.description import Model
from vaeserve.client.options import ModelOptions
from vaeserve.client.picture_sizes import parse_size, size_of_sample
from vaeserve.command.bench.plan import RpcName
from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.row_spec import Array
from vaeserve.package.sizes import PictureSize
from vaeserve.slices import rows_that_fit

_MAXIMUM_REQUESTS, _MAXIMUM_BYTES = 16, 8 << 20  # enough that no cache helps, few enough to pass between processes


class BenchInputs(NamedTuple):
    """What the requests of a run are made from."""

    rpc: RpcName
    to: Route
    """Model and version, as the requests name them."""
    model: Model
    """The model that the requests must fit."""
    seed: int
    """Of random rows, and of samples."""
    data: Array | None
    """Rows to send, in turn. None: random rows."""
    size: PictureSize | None = None
    """Of the pictures, where it is free."""

    @classmethod
    def of(
        cls, rpc: RpcName, to: Route, model: Model, *, seed: int, data: Array | None, size: tuple[int, int] | None
    ) -> Self:
        """Returns the inputs of a run. Rows that are given determine the size; otherwise it is asked for.

        Raises:
            InvalidInput: the model has no prior to sample from, or does not take the size.
        """
        if rpc == "sample" and not model.priors:
            raise InvalidInput("rpc", f"is sample, and model {model.name} has no prior: choose another --rpc")
        if data is None:
            return cls(rpc, to, model, seed, None, size_of_sample(parse_size(size), model))
        of_rows = model.latent if rpc == "decode" else model.data
        return cls(rpc, to, model, seed, data, of_rows.size_of(data.shape[1:]))

    def serialise(self, rows: int) -> list[bytes]:
        """Returns a few different requests, each of this many rows.

        Raises:
            InvalidInput: the rows do not fit the model, or are too many for one call.
        """
        limit = rows_that_fit(self.model.limits.call_rows, self.model.data.weight(self.size))
        if rows > limit:
            of = "" if self.size is None else f" of {self.size}"
            raise InvalidInput("rows", f"is {rows:,}, the server takes at most {limit:,}{of} per call")
        row = self.model.latent if self.rpc in ("sample", "decode") else self.model.data
        count = min(_MAXIMUM_REQUESTS, max(1, _MAXIMUM_BYTES // row.at(self.size).bytes_of(rows, "float32")))
        generator = np.random.default_rng(self.seed)
        return [self._request(number * rows, rows, generator) for number in range(count)]

    def _request(self, first: int, rows: int, generator: np.random.Generator) -> bytes:
        if self.rpc == "sample":
            requests = self._sample_requests(first, rows)
        else:
            requests = self._data_requests(self._take(first, rows, generator))
        parts = list(islice(requests, 2))
        if len(parts) > 1:
            limit = self.model.limits.request_bytes
            raise InvalidInput("rows", f"is {rows:,}, the server's limit on a request is {limit:,} bytes")
        return parts[0].SerializeToString()

    def _take(self, first: int, rows: int, generator: np.random.Generator) -> Array:
        if self.data is not None:
            return self.data[np.arange(first, first + rows) % len(self.data)]
        if self.rpc == "decode":
            return generator.standard_normal((rows, *self.model.latent.at(self.size).shape), np.float32)
        return _random(self.model.data.at(self.size), rows, generator)

    def _data_requests(self, data: Array) -> Iterable[Message]:
        options: ModelOptions = {"model": self.to.model, "version": self.to.version}
        if self.rpc == "decode":
            return calls.decode(data, **options).requests(self.model)
        if self.rpc == "encode":
            return calls.encode(data, **options).requests(self.model)
        return calls.reconstruct(data, **options).requests(self.model)

    def _sample_requests(self, first: int, rows: int) -> Iterable[Message]:
        model, version = self.to
        call = calls.sample(rows, seed=self.seed, first_row=first, size=self.size, model=model, version=version)
        return call.requests(self.model)


def _random(spec: DataSpec, rows: int, generator: np.random.Generator) -> Array:
    """Returns rows of values that are uniform over the model's range, [rows, *spec.shape] of spec.dtype."""
    shape = (rows, *spec.shape)
    if spec.dtype == "uint8":
        return generator.integers(np.ceil(spec.minimum), np.floor(spec.maximum), shape, np.uint8, endpoint=True)
    low, high = np.float32(spec.minimum), np.float32(spec.maximum)
    return np.clip(generator.uniform(spec.minimum, spec.maximum, shape).astype(np.float32), low, high)
