"""Servicer: one method per RPC: parse, wait, render."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, NoReturn, TypeVar

import grpc

from serving.models.registry import Models
from serving.tally import CallTally
from serving.transport.heap import Heap
from serving.transport.held import Held, Share
from serving.transport.in_flight import Calls
from serving.transport.reading import Reading, Received
from serving.transport.request_ids import RequestId, follow
from serving.transport.status import Refusal, refuse
from serving.turns import Turns
from serving.vae_v1.call_stream import CallStream
from serving.vae_v1.images import Images
from serving.vae_v1.rpcs import DECODE, ENCODE, RECONSTRUCT, SAMPLE, A, AnyRequest, AnyRows, P, Rpc, is_bulk
from serving.vae_v1.sample_stream import sample
from serving.vae_v1.streams import DECODE_CALLS, ENCODE_CALLS, Streams
from vaeserve.errors import InvalidInput, ShuttingDown
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1 import vae_pb2_grpc

_CALL_BYTES = 4096  # of memory that a call takes beside its messages, at gRPC and here
_CANCEL_SECONDS = 5.0  # by then gRPC has cancelled the handler of a call whose caller left

Q = TypeVar("Q")
Context = grpc.aio.ServicerContext[Any, Any]
Method = Callable[["VaeServicer", Q, Context], Awaitable[P]]
Unary = Callable[["VaeServicer", Q, Context, Share], Awaitable[P]]


def _unary(method: Unary[Q, P]) -> Method[object, P]:
    """Reads a method's message, counts its calls and what they hold, and turns its errors into gRPC status."""

    @wraps(method)
    async def answer(self: "VaeServicer", requests: object, context: Context) -> P:
        request_id = follow(method.__name__, context)
        started, code = time.monotonic(), grpc.StatusCode.CANCELLED
        self.calls.open += 1
        share = None
        try:
            request, size = await self.reading.read(context, request_id) or await _nothing()
            started = time.monotonic()
            self.calls.enter()
            share = Share(self.held, self.calls.close_one)
            context.add_done_callback(share.give_back)  # type: ignore[arg-type]  # the stub wants a class, gRPC any callable
            self._check_open()
            _check_message(request)
            share.take(_CALL_BYTES + size, is_request=True)
            reply = await method(self, request, context, share)
            code = grpc.StatusCode.OK
            return reply
        except grpc.aio.AbortError:  # its message was not waited for
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
            raise
        except Exception as exc:
            refusal = refuse(method.__name__, exc, request_id)
            code = refusal.code
        finally:
            if share is None:
                self.calls.open -= 1
            self.tally.count(method.__name__, "unary", code.name, time.monotonic() - started)
        # gRPC keeps the error that abort raises, and with it this frame, until the garbage collector comes by.
        request = None
        return await _abort(context, refusal, request_id)

    return answer


def _stream(method: Method[RequestId, None]) -> Method[object, None]:
    """Turns a stream's own errors into gRPC status; its calls are counted by themselves."""

    @wraps(method)
    async def answer(self: "VaeServicer", requests: object, context: Context) -> None:
        request_id = follow(method.__name__, context)
        self.calls.open += 1
        try:
            self._check_open()
            return await method(self, request_id, context)
        except grpc.aio.AbortError:
            raise
        except Exception as exc:
            if isinstance(exc, grpc.aio.InternalError):  # a write to a caller who has left; gRPC soon cancels this
                await asyncio.sleep(_CANCEL_SECONDS)
            refusal = refuse(method.__name__, exc, request_id)
        finally:
            self.calls.open -= 1
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
        held_bytes: most memory that callers may hold.
        turns: of the event loop, which streams work on.
    """

    def __init__(self, models: Models, images: Images, stream_bytes: int, held_bytes: int, turns: Turns) -> None:
        self.held = Held(held_bytes)
        self.heap = Heap(self.held)
        self.reading = Reading(self.held, self.heap)
        self.calls = Calls()
        self.calls.on_close.add(self.held.look_again)
        self.tally = CallTally()
        self._models = models
        self._images = images
        self._streams = Streams(models, images, self.calls, self.tally, stream_bytes, self.held, self.reading, turns)

    @_unary
    async def GetModel(  # noqa: N802, the names of RPCs are given
        self, request: pb.GetModelRequest, context: Context, share: Share
    ) -> pb.GetModelResponse:
        """Describes one model."""
        return pb.GetModelResponse(model=self._models.find(request.model, request.version).description)

    @_unary
    async def ListModels(  # noqa: N802
        self, request: pb.ListModelsRequest, context: Context, share: Share
    ) -> pb.ListModelsResponse:
        """Describes every model."""
        return pb.ListModelsResponse(models=self._models.describe())

    @_unary
    async def Encode(  # noqa: N802
        self, request: pb.EncodeRequest, context: Context, share: Share
    ) -> pb.EncodeResponse:
        """Encodes rows of data into their posterior."""
        return await self._run(ENCODE, request, context, share)

    @_unary
    async def Decode(  # noqa: N802
        self, request: pb.DecodeRequest, context: Context, share: Share
    ) -> pb.DecodeResponse:
        """Decodes latents into data."""
        return await self._run(DECODE, request, context, share)

    @_unary
    async def Sample(  # noqa: N802
        self, request: pb.SampleRequest, context: Context, share: Share
    ) -> pb.SampleResponse:
        """Draws latents from the prior and decodes them."""
        return await self._run(SAMPLE, request, context, share)

    @_unary
    async def Reconstruct(  # noqa: N802
        self, request: pb.ReconstructRequest, context: Context, share: Share
    ) -> pb.ReconstructResponse:
        """Encodes rows of data, decodes them again, and scores them."""
        return await self._run(RECONSTRUCT, request, context, share)

    @_stream
    async def EncodeStream(  # type: ignore[override]  # noqa: N802, it yields nothing: it writes
        self, request_id: RequestId, context: Context
    ) -> None:
        """Encodes for as long as the caller sends."""
        await CallStream(self._streams, context, request_id, ENCODE_CALLS).run()

    @_stream
    async def DecodeStream(  # type: ignore[override]  # noqa: N802
        self, request_id: RequestId, context: Context
    ) -> None:
        """Decodes for as long as the caller sends."""
        await CallStream(self._streams, context, request_id, DECODE_CALLS).run()

    @_stream
    async def CallStream(  # type: ignore[override]  # noqa: N802
        self, request_id: RequestId, context: Context
    ) -> None:
        """Answers calls of every verb for as long as the caller sends."""
        await CallStream(self._streams, context, request_id).run()

    @_stream
    async def SampleStream(  # type: ignore[override]  # noqa: N802
        self, request_id: RequestId, context: Context
    ) -> None:
        """Samples any number of rows, a message at a time."""
        request, _ = await self.reading.read(context, request_id) or await _nothing()
        _check_message(request)
        await sample(request, self._streams, context)

    async def _run(self, rpc: Rpc[AnyRequest, AnyRows, A, P], request: AnyRequest, context: Context, share: Share) -> P:
        bulk = is_bulk(context, default=False)
        with self._models.find(request.model, request.version) as served:
            rows = rpc.parse(request, served.accepts)
            share.take(rpc.takes_bytes(request, rows, served.accepts.manifest))
            return await rpc.respond(request, rows, served, self._images, context.time_remaining(), bulk=bulk)

    def _check_open(self) -> None:
        if self.calls.closed:
            raise ShuttingDown()


async def _nothing() -> Received:
    """Returns what stands for a message of a caller who sent none; most have left, and gRPC soon cancels the call."""
    await asyncio.sleep(_CANCEL_SECONDS)
    return Received(None, 0)


def _check_message(request: object) -> None:
    if request is None:
        raise InvalidInput("request", "is no message of the RPC's type")
