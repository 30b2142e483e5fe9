"""The service vae.v1.VaeService: one answer for each of its RPCs."""

from functools import partial

from serving.models.registry import Models
from serving.tracing.current import current_span
from serving.transport.answering import Answering
from serving.transport.context import Context
from serving.transport.held import CallMemory
from serving.transport.reading import Parse
from serving.transport.recording import recorded
from serving.transport.services import AnswerStream, AnswerUnary, CheckUnary, Service, protobuf_service
from serving.turns import Turns
from serving.vae_v1.call_class import is_bulk_context
from serving.vae_v1.call_stream import CallStream
from serving.vae_v1.describe import describe
from serving.vae_v1.images import Images
from serving.vae_v1.rpc import AnyRowsRpc
from serving.vae_v1.sample_stream import sample
from serving.vae_v1.streams import SERVICE, AnyResponse, AnyRowsRequest, Streams
from serving.vae_v1.verbs import VERBS
from vaeserve.v1 import vae_pb2 as pb

_DESCRIPTOR = pb.DESCRIPTOR.services_by_name["VaeService"]


def vae_service(models: Models, images: Images, stream_bytes: int, answering: Answering, turns: Turns) -> Service:
    """Returns the service of the models that are served.

    Args:
        models: what is served.
        images: what decodes and encodes images.
        stream_bytes: maximum bytes of one stream's calls and replies in flight.
        answering: what surrounds every method.
        turns: of the event loop, in which streams work.
    """
    servicer = _Servicer(models, images, stream_bytes, answering, turns)
    unary: dict[str, AnswerUnary] = {"GetModel": servicer.get_model, "ListModels": servicer.list_models}
    unary |= {rpc.name: partial(servicer.answer_rows, rpc) for rpc in VERBS.values()}
    checks: dict[str, CheckUnary] = {rpc.name: partial(servicer.check_deadline, rpc) for rpc in VERBS.values()}
    streams: dict[str, AnswerStream] = {
        "CallStream": servicer.call_stream,
        "SampleStream": servicer.sample_stream,
    }
    return protobuf_service(_DESCRIPTOR, unary, streams, checks)


class _Servicer:
    """Answers the service's RPCs; `vae_service` has the arguments."""

    def __init__(self, models: Models, images: Images, stream_bytes: int, answering: Answering, turns: Turns) -> None:
        self._models = models
        self._images = images
        self._answering = answering
        self._streams = Streams(
            models, images, answering.calls, answering.tally, stream_bytes, answering.held, answering.reading, turns,
            answering.spans,
        )  # fmt: skip

    async def get_model(self, request: pb.GetModelRequest, context: Context, memory: CallMemory) -> pb.GetModelResponse:
        """Describes one model."""
        return pb.GetModelResponse(model=describe(self._models.find(request.model, request.version)))

    async def list_models(
        self, request: pb.ListModelsRequest, context: Context, memory: CallMemory
    ) -> pb.ListModelsResponse:
        """Describes every model."""
        return pb.ListModelsResponse(models=map(describe, self._models.all()))

    def check_deadline(self, rpc: AnyRowsRpc, context: Context) -> None:
        """Refuses a call by whose deadline not even one row would be answered, where there is only one model.

        Raises:
            DeadlineUnreachable: its deadline is too near.
            InvalidInput: the metadata names a class that does not exist.
        """
        only, left = self._models.only, context.seconds_left
        if only is not None and left is not None and rpc.queue(only).is_near(left):
            rpc.queue(only).check_deadline(left, bulk=is_bulk_context(context, default=False))

    async def answer_rows(
        self, rpc: AnyRowsRpc, request: AnyRowsRequest, context: Context, memory: CallMemory
    ) -> AnyResponse:
        """Answers an RPC that takes rows: parse, wait, render."""
        bulk = is_bulk_context(context, default=False)
        with self._models.find(request.model, request.version) as served:
            if span := current_span.get():
                span.is_for(*served.key)
            rows = rpc.parse(request, served.manifest, served.limits)
            size = rpc.takes_bytes(request, rows, served.manifest)
            memory.take(size)
            response: AnyResponse = await rpc.respond(
                request, rows, served, self._images, context.seconds_left, size=size, bulk=bulk
            )
            return response

    async def call_stream(self, context: Context, parse: Parse) -> None:
        """Answers calls of every verb for as long as the caller sends."""
        await CallStream(self._streams, context, parse).run()

    async def sample_stream(self, context: Context, parse: Parse) -> None:
        """Samples any number of rows, a message at a time."""
        with recorded(self._answering.spans, f"{SERVICE}SampleStream", context.request_id):
            async with self._answering.read_one(context, parse) as request:
                await sample(request, self._streams, context)
