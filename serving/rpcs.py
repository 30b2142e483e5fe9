"""What each RPC does with a request: its parser, its batcher, its reply. Unary calls and streams share it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import grpc
import numpy as np

from serving.batcher import Answer
from serving.models import Served
from serving.requests import Accepts, parse_decode, parse_encode, parse_reconstruct, parse_sample
from serving.rows import (
    DataRows,
    Decoded,
    Encoded,
    LatentRows,
    Output,
    PriorRows,
    Reconstructed,
    ReconstructRows,
)
from vae.errors import InvalidInput
from vae.manifest import Manifest
from vae.tensors import Array, to_message
from vae.v1 import vae_pb2 as pb

AnyRequest = TypeVar("AnyRequest", bound=pb.EncodeRequest | pb.DecodeRequest | pb.SampleRequest | pb.ReconstructRequest)
AnyRows = TypeVar("AnyRows", bound=DataRows | LatentRows | PriorRows)
Rows_contra = TypeVar("Rows_contra", contravariant=True)
A = TypeVar("A")
P = TypeVar("P")


class Queue(Protocol[Rows_contra, A]):
    """What a batcher is to those who bring rows; see `Batcher`."""

    async def submit(
        self, rows: Rows_contra, timeout_seconds: float | None = None, *, bulk: bool = False, patient: bool = False
    ) -> Answer[A]:
        """As `Batcher.submit`."""
        ...

    def enqueue(
        self, rows: Rows_contra, timeout_seconds: float | None = None, *, bulk: bool = False
    ) -> "asyncio.Future[Answer[A]]":
        """As `Batcher.enqueue`."""
        ...


class Rpc(NamedTuple, Generic[AnyRequest, AnyRows, A, P]):
    """How an RPC is answered."""

    parse: Callable[[AnyRequest, Accepts], AnyRows]
    queue: Callable[[Served], "Queue[AnyRows, A]"]
    render: Callable[[AnyRows, Answer[A], str], P]
    """Makes the reply of what became of the rows, and the pair's fingerprint."""
    reply_bytes: Callable[[AnyRows, Manifest], int]
    """About how long the reply to some rows will be."""


def is_bulk(context: grpc.aio.ServicerContext[object, object], default: bool) -> bool:
    """Returns a call's class, from its metadata.

    Raises:
        InvalidInput: there is no such class.
    """
    for key, value in context.invocation_metadata() or ():
        if key == "vae-class":
            if value not in ("interactive", "bulk"):
                raise InvalidInput("vae-class", f"is {str(value)[:128]!r}, must be interactive or bulk")
            return value == "bulk"
    return default


def _encoded(rows: DataRows, answer: Answer[Encoded], fingerprint: str) -> pb.EncodeResponse:
    moments = [part.log_variance for part in answer.parts if part.log_variance is not None]
    return pb.EncodeResponse(
        fingerprint=fingerprint,
        timing=_timing(answer),
        latent=_joined([part.latent for part in answer.parts]),
        log_variance=_joined(moments) if moments else None,
        seed=rows.noise and rows.noise.seed,
    )


def _decoded(rows: LatentRows, answer: Answer[Decoded], fingerprint: str) -> pb.DecodeResponse:
    return pb.DecodeResponse(fingerprint=fingerprint, timing=_timing(answer), **_output(answer.parts, rows.output))


def _sampled(rows: PriorRows, answer: Answer[Decoded], fingerprint: str) -> pb.SampleResponse:
    return pb.SampleResponse(
        fingerprint=fingerprint,
        timing=_timing(answer),
        latent=_joined([part.latent for part in answer.parts]) if rows.include_latent else None,
        seed=rows.noise.seed,
        **_output(answer.parts, rows.output),
    )


def _reconstructed(rows: ReconstructRows, answer: Answer[Reconstructed], fingerprint: str) -> pb.ReconstructResponse:
    parts = answer.parts
    log_likelihood, kl = (_scores([getattr(part, name) for part in parts]) for name in ("log_likelihood", "kl"))
    elbo = None if log_likelihood is None or kl is None else log_likelihood - kl
    scores = {"log_likelihood": log_likelihood, "kl": kl, "elbo": elbo}
    return pb.ReconstructResponse(
        fingerprint=fingerprint,
        timing=_timing(answer),
        squared_error=_joined([part.squared_error for part in parts]),
        seed=rows.noise and rows.noise.seed,
        **_present(scores),
        **_output(parts, rows.output),
    )


def _timing(answer: Answer[A]) -> pb.Timing:
    return pb.Timing(
        queued_microseconds=round(answer.queued_seconds * 1e6),
        running_microseconds=round(answer.running_seconds * 1e6),
        batch_rows=answer.batch_rows,
    )


def _scores(parts: Sequence[Array | None]) -> Array | None:
    """Returns a score of all rows, or None where the model has none."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known else None


def _present(scores: Mapping[str, Array | None]) -> dict[str, Any]:
    return {name: to_message(score) for name, score in scores.items() if score is not None}


def _output(parts: Sequence[Decoded] | Sequence[Reconstructed], output: Output) -> dict[str, Any]:
    """Returns the member of the oneof that the caller asked for."""
    return {output: _joined([part.output for part in parts])}


def _joined(parts: Sequence[Array]) -> pb.Tensor:
    return to_message(parts[0] if len(parts) == 1 else np.concatenate(parts))


def _moments_bytes(rows: DataRows, manifest: Manifest) -> int:
    return 4 * manifest.latent_size * (2 if rows.log_variance else 1) * len(rows)


def _data_bytes(rows: LatentRows | PriorRows | ReconstructRows, manifest: Manifest) -> int:
    value_bytes = 1 if rows.output == "data" and manifest.data.dtype == "uint8" else 4
    latent_size = manifest.latent_size if isinstance(rows, PriorRows) and rows.include_latent else 0
    return (value_bytes * manifest.data.size + 4 * latent_size) * len(rows)


ENCODE = Rpc(parse_encode, lambda served: served.encoder, _encoded, _moments_bytes)
DECODE = Rpc(parse_decode, lambda served: served.decoder, _decoded, _data_bytes)
SAMPLE = Rpc(parse_sample, lambda served: served.decoder, _sampled, _data_bytes)
RECONSTRUCT = Rpc(parse_reconstruct, lambda served: served.reconstructor, _reconstructed, _data_bytes)
