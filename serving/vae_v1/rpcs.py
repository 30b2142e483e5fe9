"""What each RPC does with a request: its parser, its batcher, its reply. Unary calls and streams share it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypedDict, TypeVar

import grpc
import numpy as np

from serving.batching.call import Answer
from serving.engine.rows import (
    DataRows,
    Decoded,
    Encoded,
    LatentRows,
    Output,
    PriorRows,
    Reconstructed,
    ReconstructRows,
)
from serving.models.registry import Served
from serving.vae_v1.images import Images
from serving.vae_v1.requests import Accepts, Undecoded, parse_decode, parse_encode, parse_reconstruct, parse_sample
from vaeserve.errors import InvalidInput
from vaeserve.package.manifest import Manifest
from vaeserve.rows.tensors import Array, join, to_float16, to_message
from vaeserve.v1 import vae_pb2 as pb

AnyRequest = TypeVar("AnyRequest", bound=pb.EncodeRequest | pb.DecodeRequest | pb.SampleRequest | pb.ReconstructRequest)
AnyRows = TypeVar("AnyRows", bound=DataRows | LatentRows | PriorRows)
Rows_contra = TypeVar("Rows_contra", contravariant=True)
Request_contra = TypeVar("Request_contra", contravariant=True)
P_co = TypeVar("P_co", covariant=True)
A = TypeVar("A")
P = TypeVar("P")

# Making a reply that is longer, or comes in more parts, takes milliseconds, so a thread does it.
_LONG_BYTES, _MANY_PARTS = 2**20, 256


class _Output(TypedDict, total=False):
    """The member of the oneof that the caller asked for."""

    data: pb.Tensor
    expectation: pb.Tensor
    images: pb.EncodedImages


class Queue(Protocol[Rows_contra, A]):
    """What a batcher is to those who bring rows; see `Batcher`."""

    async def submit(
        self, rows: Rows_contra, timeout_seconds: float | None = None, *, bulk: bool = False, patient: bool = False
    ) -> Answer[A]:
        """As `Batcher.submit`."""
        ...

    def enqueue(
        self, rows: Rows_contra, timeout_seconds: float | None = None, *, bulk: bool = False, patient: bool = False
    ) -> "asyncio.Future[Answer[A]]":
        """As `Batcher.enqueue`."""
        ...


class Render(Protocol[Request_contra, Rows_contra, A, P_co]):
    """Makes the reply of the request, its rows, what became of them, and its rows as PNG files if it asked for such."""

    def __call__(
        self,
        request: Request_contra,
        rows: Rows_contra,
        answer: Answer[A],
        manifest: Manifest,
        files: Sequence[bytes] | None = None,
    ) -> P_co:
        """Returns the reply."""
        ...


class Rpc(NamedTuple, Generic[AnyRequest, AnyRows, A, P]):
    """How an RPC is answered."""

    name: str
    parse: Callable[[AnyRequest, Accepts], AnyRows | Undecoded[AnyRows]]
    queue: Callable[[Served], "Queue[AnyRows, A]"]
    outputs: Callable[[Sequence[A]], Sequence[Array]]
    """The rows of data that were decoded."""
    render: "Render[AnyRequest, AnyRows, A, P]"
    reply_bytes: Callable[[AnyRows, Manifest], int]
    """About how long the reply to some rows will be."""
    writes_images: Callable[[AnyRequest], bool]

    def takes_bytes(self, request: AnyRequest, rows: AnyRows | Undecoded[AnyRows], manifest: Manifest) -> int:
        """Returns about how much a request's rows and its reply will take that its message does not."""
        if isinstance(rows, Undecoded) or self.writes_images(request):
            return len(rows) * 4 * manifest.data.size
        return self.reply_bytes(rows, manifest)

    async def respond(
        self,
        request: AnyRequest,
        rows: AnyRows | Undecoded[AnyRows],
        served: Served,
        images: Images,
        timeout_seconds: float | None,
        *,
        bulk: bool,
        patient: bool = False,
    ) -> P:
        """Returns the reply to a request that was parsed.

        Raises:
            VaeError: any that the images or the batcher raise.
        """
        manifest = served.accepts.manifest
        if isinstance(rows, Undecoded):
            began = time.monotonic()
            taken = rows.rows(await images.decode(rows.images, rows.field, manifest.data))
            timeout_seconds = timeout_seconds and timeout_seconds - (time.monotonic() - began)
        else:
            taken = rows
        answer = await self.queue(served).submit(taken, timeout_seconds, bulk=bulk, patient=patient)
        return await self._finish(request, taken, answer, manifest, images)

    async def _finish(
        self, request: AnyRequest, rows: AnyRows, answer: Answer[A], manifest: Manifest, images: Images
    ) -> P:
        """Returns the reply, once its images are encoded if it asked for such."""
        files = None
        if self.writes_images(request):
            files = await images.encode(await asyncio.to_thread(join, self.outputs(answer.parts)), manifest.data)
        render = partial(self.render, request, rows, answer, manifest, files)
        takes_long = self.is_long(rows, manifest) or len(answer.parts) > _MANY_PARTS
        return await asyncio.to_thread(render) if takes_long else render()

    def is_long(self, rows: AnyRows, manifest: Manifest) -> bool:
        """Says whether the reply to some rows will be so long that making it would hold up the event loop."""
        return self.reply_bytes(rows, manifest) > _LONG_BYTES


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


def _encoded(
    request: pb.EncodeRequest, rows: DataRows, answer: Answer[Encoded], manifest: Manifest, files: object = None
) -> pb.EncodeResponse:
    moments = [part.log_variance for part in answer.parts if part.log_variance is not None]
    return pb.EncodeResponse(
        fingerprint=manifest.fingerprint,
        timing=_timing(answer),
        latent=_joined([part.latent for part in answer.parts], "latent", request.dtype),
        log_variance=_joined(moments, "log_variance", request.dtype) if moments else None,
        seed=rows.noise and rows.noise.seed,
    )


def _decoded(
    request: pb.DecodeRequest,
    rows: LatentRows,
    answer: Answer[Decoded],
    manifest: Manifest,
    files: Sequence[bytes] | None = None,
) -> pb.DecodeResponse:
    return pb.DecodeResponse(
        fingerprint=manifest.fingerprint,
        timing=_timing(answer),
        **_output(_outputs(answer.parts), rows.output, request.dtype, files),
    )


def _sampled(
    request: pb.SampleRequest,
    rows: PriorRows,
    answer: Answer[Decoded],
    manifest: Manifest,
    files: Sequence[bytes] | None = None,
) -> pb.SampleResponse:
    latents = [part.latent for part in answer.parts]
    return pb.SampleResponse(
        fingerprint=manifest.fingerprint,
        timing=_timing(answer),
        latent=_joined(latents, "latent", request.dtype) if rows.include_latent else None,
        seed=rows.noise.seed,
        **_output(_outputs(answer.parts), rows.output, request.dtype, files),
    )


def _reconstructed(
    request: pb.ReconstructRequest,
    rows: ReconstructRows,
    answer: Answer[Reconstructed],
    manifest: Manifest,
    files: Sequence[bytes] | None = None,
) -> pb.ReconstructResponse:
    parts = answer.parts
    log_likelihood, kl = (_scores([getattr(part, name) for part in parts]) for name in ("log_likelihood", "kl"))
    elbo = None if log_likelihood is None or kl is None else log_likelihood - kl
    return pb.ReconstructResponse(
        fingerprint=manifest.fingerprint,
        timing=_timing(answer),
        log_likelihood=_score(log_likelihood),
        kl=_score(kl),
        elbo=_score(elbo),
        squared_error=_score(join([part.squared_error for part in parts])),
        seed=rows.noise and rows.noise.seed,
        **_output(_outputs(parts), rows.output, request.dtype, files),
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


def _score(rows: Array | None) -> pb.Tensor | None:
    return None if rows is None else to_message(rows)


def _outputs(parts: Sequence[Decoded] | Sequence[Reconstructed]) -> list[Array]:
    return [part.output for part in parts]


def _output(parts: Sequence[Array], output: Output, dtype: int, files: Sequence[bytes] | None) -> _Output:
    """Returns the member of the oneof that the caller asked for."""
    if files is not None:
        return {"images": pb.EncodedImages(images=files)}
    tensor = _joined(parts, output, dtype)
    return {"expectation": tensor} if output == "expectation" else {"data": tensor}


def _joined(parts: Sequence[Array], field: str, dtype: int) -> pb.Tensor:
    """Returns rows as a message; floating-point ones in the type that the caller asked for."""
    rows = join(parts)
    return to_message(to_float16(rows, field) if dtype == pb.DATA_TYPE_FLOAT16 else rows)


def _wants_images(request: pb.DecodeRequest | pb.SampleRequest | pb.ReconstructRequest) -> bool:
    return request.output == pb.DECODE_OUTPUT_PNG


def _never(request: object) -> bool:
    return False


def _moments_bytes(rows: DataRows, manifest: Manifest) -> int:
    return 4 * manifest.latent_size * (2 if rows.log_variance else 1) * len(rows)


def _data_bytes(rows: LatentRows | PriorRows | ReconstructRows, manifest: Manifest) -> int:
    value_bytes = 1 if rows.output == "data" and manifest.data.dtype == "uint8" else 4
    latent_size = manifest.latent_size if isinstance(rows, PriorRows) and rows.include_latent else 0
    return (value_bytes * manifest.data.size + 4 * latent_size) * len(rows)


ENCODE = Rpc("Encode", parse_encode, lambda served: served.encoder, lambda parts: [], _encoded, _moments_bytes, _never)
DECODE = Rpc("Decode", parse_decode, lambda served: served.decoder, _outputs, _decoded, _data_bytes, _wants_images)
SAMPLE = Rpc("Sample", parse_sample, lambda served: served.decoder, _outputs, _sampled, _data_bytes, _wants_images)
RECONSTRUCT = Rpc(
    "Reconstruct",
    parse_reconstruct,
    lambda served: served.reconstructor,
    _outputs,
    _reconstructed,
    _data_bytes,
    _wants_images,
)
RPCS: dict[str, Rpc[Any, Any, Any, Any]] = {
    "encode": ENCODE,
    "decode": DECODE,
    "sample": SAMPLE,
    "reconstruct": RECONSTRUCT,
}
"""By the oneof arm that calls and replies of a stream have."""
