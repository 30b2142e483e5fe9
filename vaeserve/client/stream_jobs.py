"""Stream jobs: how each of a caller's batches becomes a call. Draws count their rows on from batch to batch."""

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, NamedTuple, Unpack

import numpy.typing as npt

from vaeserve.client import calls
from vaeserve.client.call import PreparedCall, Reply, Result, Route, choose_seed
from vaeserve.client.options import (
    DecodeOptions,
    DecodeOutput,
    EncodeOutput,
    ModelOptions,
    ReconstructLatent,
    refuse_unknown,
)
from vaeserve.client.results import Decoded, Encoded, Reconstructed
from vaeserve.client.scalars import integer
from vaeserve.rows.noise import ROW_LIMIT
from vaeserve.rows.size_fit import SizeFit
from vaeserve.v1 import vae_pb2 as pb


class StreamJob(NamedTuple, Generic[Reply, Result]):
    """A model, and what is done with each of any number of batches."""

    route: Route
    prepare: Callable[[Any], PreparedCall[Reply, Result]]
    """Makes the call of a batch."""


def encode_job(
    *,
    output: EncodeOutput = "mean",
    seed: int | None = None,
    first_row: int = 0,
    fit: SizeFit = "exact",
    **options: Unpack[ModelOptions],
) -> StreamJob[pb.EncodeResponse, Encoded]:
    """Encodes batches."""
    refuse_unknown("encode_stream", options, ModelOptions)
    encode = partial(calls.encode, output=output, fit=fit, **options)
    return _counting(encode, seed, first_row, is_drawn=output == "sample")


def decode_job(**options: Unpack[DecodeOptions]) -> StreamJob[pb.DecodeResponse, Decoded]:
    """Decodes batches."""
    refuse_unknown("decode_stream", options, DecodeOptions)
    decode = partial(calls.decode, **options)
    return StreamJob(decode([0]).route, decode)  # the call finds wrong options before anything is sent


def reconstruct_job(
    *,
    latent: ReconstructLatent = "mean",
    seed: int | None = None,
    first_row: int = 0,
    output: DecodeOutput = "data",
    fit: SizeFit = "exact",
    **options: Unpack[ModelOptions],
) -> StreamJob[pb.ReconstructResponse, Reconstructed]:
    """Reconstructs batches."""
    refuse_unknown("reconstruct_stream", options, ModelOptions)
    reconstruct = partial(calls.reconstruct, latent=latent, output=output, fit=fit, **options)
    return _counting(reconstruct, seed, first_row, is_drawn=latent == "sample")


def _counting(
    make: Callable[..., PreparedCall[Reply, Result]], seed: int | None, first_row: int, *, is_drawn: bool
) -> StreamJob[Reply, Result]:
    """Returns a job whose rows are numbered from batch to batch if noise is drawn."""
    drawn = choose_seed(seed) if is_drawn else seed
    row = integer("first_row", first_row, ROW_LIMIT)

    def prepare(data: npt.ArrayLike) -> PreparedCall[Reply, Result]:
        nonlocal row
        prepared = make(data, seed=drawn, first_row=row)
        if is_drawn:
            row += len(data)  # type: ignore[arg-type]  # `make` has checked that it has rows
        return prepared

    return StreamJob(make([0], seed=drawn, first_row=row).route, prepare)  # as in `decode_job`
