"""The gRPC transport: port, limits, health and reflection."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

import grpc
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from serving.servicer import VaeServicer
from serving.settings import Settings
from vae.errors import StartupError
from vae.v1 import vae_pb2

SERVICE_DESCRIPTOR = vae_pb2.DESCRIPTOR.services_by_name["VaeService"]
SERVICE = SERVICE_DESCRIPTOR.full_name
_FRAME_BYTES = 2**16  # room for a message's other fields beside its tensor's limit
_FLUSH_SECONDS = 0.5  # for the last answers to leave


class _Health(health.aio.HealthServicer):  # type: ignore[misc]  # ships no types
    """Health whose watchers are sent home when the server stops; else one open Watch would use up the grace period."""

    def __init__(self) -> None:
        super().__init__()
        self.stopping = asyncio.Event()

    async def Watch(  # noqa: N802, the names of RPCs are given
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> None:
        """Tells every change of a service's health until the caller leaves or the server stops."""
        watching = asyncio.create_task(super().Watch(request, context))
        stopping = asyncio.create_task(self.stopping.wait())
        try:
            await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                watching.result()
        finally:
            watching.cancel()
            stopping.cancel()


class Server:
    """A gRPC server whose health tells whether it can answer. Used as `async with Server(...) as server`."""

    def __init__(self, servicer: VaeServicer, settings: Settings) -> None:
        self._health = _Health()
        self._calls = servicer.calls
        self._is_ready = False
        self._drain_seconds = settings.drain_seconds
        self._grace_seconds = settings.grace_seconds
        self._server = grpc.aio.server(options=_options(settings.message_bytes))
        self._server.add_generic_rpc_handlers((_handlers(servicer),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        self.address = self._bind(settings.host, settings.port)

    async def __aenter__(self) -> Self:
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Turns NOT_SERVING, then takes no more calls and lets those in flight finish within the grace period."""
        await self._health.enter_graceful_shutdown()
        if self._is_ready:
            await asyncio.sleep(self._drain_seconds)
        is_done = await self._calls.finish(self._grace_seconds)
        self._health.stopping.set()
        # gRPC's own stop waits for idle connections too, and up to 20 s for a caller that no longer reads.
        stopping = asyncio.ensure_future(self._server.stop(_FLUSH_SECONDS if is_done else 0))
        await asyncio.wait([stopping], timeout=2 * _FLUSH_SECONDS)

    async def ready(self) -> None:
        """Turns SERVING."""
        self._is_ready = True
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)

    async def _set_health(self, status: "health_pb2.HealthCheckResponse.ServingStatus") -> None:
        for service in ("", SERVICE):
            await self._health.set(service, status)

    def _bind(self, host: str, port: int) -> str:
        host = f"[{host}]" if ":" in host else host
        try:
            bound = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as exc:
            raise StartupError(f"cannot listen on {host}:{port}: is the port taken, or the address not here?") from exc
        return f"{host}:{bound}"


def _handlers(servicer: VaeServicer) -> grpc.GenericRpcHandler:
    """Returns the service's methods; unlike the generated ones they are called for what is no message, too."""
    kinds = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    methods = {}
    for method in SERVICE_DESCRIPTOR.methods:
        request, response = (GetMessageClass(kind) for kind in (method.input_type, method.output_type))
        methods[method.name] = kinds[method.client_streaming, method.server_streaming](
            getattr(servicer, method.name),
            request_deserializer=_lenient(request),
            response_serializer=response.SerializeToString,
        )
    return grpc.method_handlers_generic_handler(SERVICE, methods)


def _lenient(kind: type[Message]) -> Callable[[bytes], Message | None]:
    """Returns a parser that gives None for what is no message; gRPC would answer UNKNOWN and log a traceback."""

    def parse(content: bytes) -> Message | None:
        try:
            return kind.FromString(content)
        except DecodeError:
            return None

    return parse


def _options(message_bytes: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", message_bytes + _FRAME_BYTES),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # a port that is taken is an error, not a silent share
    ]


def ask_health(target: str, timeout_seconds: float) -> str:
    """Returns a server's health, for example SERVING, or the status of the failed call, for example UNAVAILABLE."""
    with grpc.insecure_channel(target) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=timeout_seconds)
        except grpc.RpcError as exc:
            code: grpc.StatusCode = exc.code()
            return code.name
    name: str = health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)
    return name
