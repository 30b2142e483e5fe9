"""Servicer: one method per RPC: parse, wait, render."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from typing import Any, NoReturn, TypeVar

import grpc

from serving.images import Images
from serving.in_flight import Calls
from serving.models import Models
from serving.request_ids import RequestId, follow
from serving.rpcs import DECODE, ENCODE, RECONSTRUCT, SAMPLE, A, AnyRequest, AnyRows, P, Rpc, is_bulk
from serving.sample_stream import sample
from serving.status import Refusal, refuse
from serving.streams import DECODE_STREAM, ENCODE_STREAM, CallStream, Streams
from serving.tally import CallTally
from serving.turns import Turns
from serving.window import Held
from vae.errors import InvalidInput, ShuttingDown
from vae.v1 import vae_pb2 as pb
from vae.v1 import vae_pb2_grpc

_WINDOWS = 32  # that all streams may fill together
_CANCEL_SECONDS = 5.0  # by then gRPC has cancelled the handler of a call whose caller left

Q = TypeVar("Q")
Context = grpc.aio.ServicerContext[Any, Any]
Method = Callable[["VaeServicer", Q, Context], Awaitable[P]]


def _unary(method: Method[Q, P]) -> Method[Q, P]:
    """Counts a method's calls, and turns its errors into gRPC status."""

    @wraps(method)
    async def answer(self: "VaeServicer", request: Q, context: Context) -> P:
        self.calls.enter()
        context.add_done_callback(self.calls.leave)  # type: ignore[arg-type]  # the stub wants a class, gRPC any callable
        request_id = follow(method.__name__, context)
        started, code = time.monotonic(), grpc.StatusCode.CANCELLED
        try:
            self._check(request)
            reply = await method(self, request, context)
            code = grpc.StatusCode.OK
            return reply
        except Exception as exc:
            refusal = refuse(method.__name__, exc)
            code = refusal.code
        finally:
            self.tally.count(method.__name__, "unary", code.name, time.monotonic() - started)
        # gRPC keeps the error that abort raises, and with it this frame, until the garbage collector comes by.
        del request
        return await _abort(context, refusal, request_id)

    return answer


def _stream(method: Method[Q, None]) -> Method[Q, None]:
    """Turns a stream's own errors into gRPC status; its calls are counted by themselves."""

    @wraps(method)
    async def answer(self: "VaeServicer", request: Q, context: Context) -> None:
        request_id = follow(method.__name__, context)
        try:
            self._check(request)
            return await method(self, request, context)
        except Exception as exc:
            if isinstance(exc, grpc.aio.InternalError):  # a write to a caller who has left; gRPC soon cancels this
                await asyncio.sleep(_CANCEL_SECONDS)
            refusal = refuse(method.__name__, exc)
        await _abort(context, refusal, request_id)

    return answer


async def _abort(context: Context, refusal: Refusal, request_id: RequestId) -> NoReturn:
    await context.abort(refusal.code, refusal.message, (*refusal.trailers, *request_id.trailers))
    raise AssertionError("abort returned. This is a bug.")


class VaeServicer(vae_pb2_grpc.VaeServiceServicer):
    """Answers vae.v1.VaeService from the models that are served.

    Args:
        models: what is served.
        images: what decodes and encodes images.
        stream_bytes: most bytes of one stream's calls and replies in flight.
        turns: of the event loop, which streams work on.
    """

    def __init__(self, models: Models, images: Images, stream_bytes: int, turns: Turns) -> None:
        self.calls = Calls()
        self.tally = CallTally()
        self._models = models
        self._images = images
        held = Held(_WINDOWS * stream_bytes)
        self._streams = Streams(models, images, self.calls, self.tally, stream_bytes, held, turns)

    @_unary
    async def GetModel(  # noqa: N802, the names of RPCs are given
        self, request: pb.GetModelRequest, context: Context
    ) -> pb.GetModelResponse:
        """Describes one model."""
        return pb.GetModelResponse(model=self._models.find(request.model, request.version).description)

    @_unary
    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:  # noqa: N802
        """Describes every model."""
        return pb.ListModelsResponse(models=self._models.describe())

    @_unary
    async def Encode(self, request: pb.EncodeRequest, context: Context) -> pb.EncodeResponse:  # noqa: N802
        """Encodes rows of data into their posterior."""
        return await self._run(ENCODE, request, context)

    @_unary
    async def Decode(self, request: pb.DecodeRequest, context: Context) -> pb.DecodeResponse:  # noqa: N802
        """Decodes latents into data."""
        return await self._run(DECODE, request, context)

    @_unary
    async def Sample(self, request: pb.SampleRequest, context: Context) -> pb.SampleResponse:  # noqa: N802
        """Draws latents from the prior and decodes them."""
        return await self._run(SAMPLE, request, context)

    @_unary
    async def Reconstruct(  # noqa: N802
        self, request: pb.ReconstructRequest, context: Context
    ) -> pb.ReconstructResponse:
        """Encodes rows of data, decodes them again, and scores them."""
        return await self._run(RECONSTRUCT, request, context)

    @_stream
    async def EncodeStream(  # type: ignore[override]  # noqa: N802, it yields nothing: it writes
        self, requests: AsyncIterator[pb.EncodeStreamRequest], context: Context
    ) -> None:
        """Encodes for as long as the caller sends."""
        await CallStream(ENCODE_STREAM, self._streams, context).run()

    @_stream
    async def DecodeStream(  # type: ignore[override]  # noqa: N802
        self, requests: AsyncIterator[pb.DecodeStreamRequest], context: Context
    ) -> None:
        """Decodes for as long as the caller sends."""
        await CallStream(DECODE_STREAM, self._streams, context).run()

    @_stream
    async def SampleStream(  # type: ignore[override]  # noqa: N802
        self, request: pb.SampleStreamRequest, context: Context
    ) -> None:
        """Samples any number of rows, a message at a time."""
        await sample(request, self._streams, context)

    async def _run(self, rpc: Rpc[AnyRequest, AnyRows, A, P], request: AnyRequest, context: Context) -> P:
        bulk = is_bulk(context, default=False)
        with self._models.find(request.model, request.version) as served:
            rows = rpc.parse(request, served.accepts)
            return await rpc.respond(request, rows, served, self._images, context.time_remaining(), bulk=bulk)

    def _check(self, request: object) -> None:
        if self.calls.closed:
            raise ShuttingDown()
        if request is None:
            raise InvalidInput("request", "is no message of the RPC's type")
