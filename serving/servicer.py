"""Servicer: one method per RPC: parse, wait, render."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

import grpc

from serving.in_flight import Calls
from serving.models import Models
from serving.rpcs import DECODE, ENCODE, RECONSTRUCT, SAMPLE, A, AnyRequest, AnyRows, P, Rpc, is_bulk
from serving.sample_stream import sample
from serving.status import refusal_of
from serving.streams import DECODE_STREAM, ENCODE_STREAM, CallStream
from vae.errors import InvalidInput, ShuttingDown, VaeError
from vae.v1 import vae_pb2 as pb
from vae.v1 import vae_pb2_grpc

_log = logging.getLogger(__name__)

_CANCEL_SECONDS = 5.0  # by then gRPC has cancelled the handler of a call whose caller left

Q = TypeVar("Q")
Context = grpc.aio.ServicerContext[Any, Any]
Method = Callable[["VaeServicer", Q, Context], Awaitable[P]]


def _counted(method: Method[Q, P]) -> Method[Q, P]:
    """Counts a method's calls."""

    @wraps(method)
    async def answer(self: "VaeServicer", request: Q, context: Context) -> P:
        self.calls.enter()
        context.add_done_callback(self.calls.leave)  # type: ignore[arg-type]  # the stub wants a class, gRPC any callable
        return await method(self, request, context)

    return answer


def _refusing(method: Method[Q, P]) -> Method[Q, P]:
    """Turns a method's errors into gRPC status."""

    @wraps(method)
    async def answer(self: "VaeServicer", request: Q, context: Context) -> P:
        try:
            if self.calls.closed:
                raise ShuttingDown("the server is shutting down")
            if request is None:
                raise InvalidInput("request", "is no message of the RPC's type")
            return await method(self, request, context)
        except Exception as exc:
            if isinstance(exc, grpc.aio.InternalError):  # a write to a caller who has left; gRPC soon cancels this
                await asyncio.sleep(_CANCEL_SECONDS)
            if not isinstance(exc, VaeError):
                _log.exception("%s failed", method.__name__)
            refusal = refusal_of(exc)
        # gRPC keeps the error that abort raises, and with it this frame, until the garbage collector comes by.
        del request
        await context.abort(refusal.code, refusal.message, refusal.trailers)
        raise AssertionError("abort returned. This is a bug.")

    return answer


class VaeServicer(vae_pb2_grpc.VaeServiceServicer):
    """Answers vae.v1.VaeService from the models that are served.

    Args:
        models: what is served.
        stream_bytes: most bytes of one stream's calls and replies in flight.
    """

    def __init__(self, models: Models, stream_bytes: int) -> None:
        self._models = models
        self._stream_bytes = stream_bytes
        self.calls = Calls()

    @_counted
    @_refusing
    async def GetModel(  # noqa: N802, the names of RPCs are given
        self, request: pb.GetModelRequest, context: Context
    ) -> pb.GetModelResponse:
        """Describes one model."""
        return pb.GetModelResponse(model=self._models.find(request.model, request.version).description)

    @_counted
    @_refusing
    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:  # noqa: N802
        """Describes every model."""
        return pb.ListModelsResponse(models=self._models.describe())

    @_counted
    @_refusing
    async def Encode(self, request: pb.EncodeRequest, context: Context) -> pb.EncodeResponse:  # noqa: N802
        """Encodes rows of data into their posterior."""
        return await self._run(ENCODE, request, context)

    @_counted
    @_refusing
    async def Decode(self, request: pb.DecodeRequest, context: Context) -> pb.DecodeResponse:  # noqa: N802
        """Decodes latents into data."""
        return await self._run(DECODE, request, context)

    @_counted
    @_refusing
    async def Sample(self, request: pb.SampleRequest, context: Context) -> pb.SampleResponse:  # noqa: N802
        """Draws latents from the prior and decodes them."""
        return await self._run(SAMPLE, request, context)

    @_counted
    @_refusing
    async def Reconstruct(  # noqa: N802
        self, request: pb.ReconstructRequest, context: Context
    ) -> pb.ReconstructResponse:
        """Encodes rows of data, decodes them again, and scores them."""
        return await self._run(RECONSTRUCT, request, context)

    @_refusing
    async def EncodeStream(  # type: ignore[override]  # noqa: N802, it yields nothing: it writes
        self, requests: AsyncIterator[pb.EncodeStreamRequest], context: Context
    ) -> None:
        """Encodes for as long as the caller sends."""
        await CallStream(ENCODE_STREAM, self._models, self.calls, context, self._stream_bytes).run()

    @_refusing
    async def DecodeStream(  # type: ignore[override]  # noqa: N802
        self, requests: AsyncIterator[pb.DecodeStreamRequest], context: Context
    ) -> None:
        """Decodes for as long as the caller sends."""
        await CallStream(DECODE_STREAM, self._models, self.calls, context, self._stream_bytes).run()

    @_refusing
    async def SampleStream(  # type: ignore[override]  # noqa: N802
        self, request: pb.SampleStreamRequest, context: Context
    ) -> None:
        """Samples any number of rows, a message at a time."""
        await sample(request, self._models, self.calls, context)

    async def _run(self, rpc: Rpc[AnyRequest, AnyRows, A, P], request: AnyRequest, context: Context) -> P:
        served = self._models.find(request.model, request.version)
        rows = rpc.parse(request, served.accepts)
        bulk = is_bulk(context, default=False)
        answer = await rpc.queue(served).submit(rows, context.time_remaining(), bulk=bulk)
        return rpc.render(rows, answer, served.accepts.manifest.fingerprint)
