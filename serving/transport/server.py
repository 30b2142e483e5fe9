"""The gRPC transport: limits of connections, health, and how it stops."""

import asyncio
import math
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from grpc_health.v1 import health, health_pb2

from serving.settings import Settings
from serving.transport.admission import CallAdmission
from serving.transport.answering import Answering
from serving.transport.front import Front
from serving.transport.health import LIVENESS, Health
from serving.transport.listening import listen
from serving.transport.reflection import reflection_handlers
from serving.transport.services import Service
from serving.transport.tokens import Tokens

_FRAME_BYTES = 2**16  # for a message's other fields, beside the limit of its tensor
_FLUSH_SECONDS = 0.5  # in which the last answers are sent
_PENDING = 4  # times in_flight_calls: calls that may wait in gRPC until they are admitted or refused
_MIN_PENDING = 8192  # a burst over a few connections; about 160 MB at 20 kB a call
_NEVER = 2**31 - 1  # milliseconds, as gRPC reads it


class Server:
    """A gRPC server whose health says whether it can answer. Used as `async with Server(...) as server`.

    Args:
        services: what it answers, beside health and reflection.
        answering: what surrounds every method of theirs.
        settings: where it listens, whom it admits, and how it stops.
    """

    def __init__(self, services: Sequence[Service], answering: Answering, settings: Settings) -> None:
        self._health = Health()
        self._calls = answering.calls
        self._names = tuple(service.name for service in services)
        self.is_ready = False
        """Whether its health is SERVING."""
        self.broken = asyncio.Event()
        """Set when gRPC hands over no more calls."""
        self._drain_seconds = settings.drain_seconds
        self._grace_seconds = settings.grace_seconds
        tokens = Tokens(settings.token_file) if settings.token_file else None
        admission = CallAdmission(tokens, settings.in_flight_calls, answering.calls, answering.tally)
        handlers = self._health.handlers | reflection_handlers((*self._names, health.SERVICE_NAME))
        for service in services:
            handlers |= answering.handlers(service)
        self._front = Front(admission, handlers, _options(settings), self.broken.set)
        self.address = listen(self._front, settings)

    async def __aenter__(self) -> Self:
        self._set_ready(False)
        self._health.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)
        self._front.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Turns NOT_SERVING, then takes no new calls and lets those in flight finish within the grace period.

        gRPC stops listening, and tells open connections to go elsewhere (GOAWAY). Clients and proxies then send their
        next call to another server by themselves, which an answer of UNAVAILABLE would not make them do.
        """
        was_ready = self.is_ready
        self._set_ready(False)
        if was_ready:
            await asyncio.sleep(self._drain_seconds)
            await self._calls.lull()
        stopping = asyncio.ensure_future(self._front.stop(self._grace_seconds + _FLUSH_SECONDS))
        await self._calls.finish(self._grace_seconds)
        self._health.stop()
        # gRPC's own stop also waits for idle connections, and up to 20 s for a caller who no longer reads.
        await asyncio.wait([stopping], timeout=2 * _FLUSH_SECONDS)

    async def ready(self) -> None:
        """Turns SERVING."""
        self._set_ready(True)

    def _set_ready(self, is_ready: bool) -> None:
        self.is_ready = is_ready
        states = health_pb2.HealthCheckResponse
        status = states.SERVING if is_ready else states.NOT_SERVING
        for service in ("", *self._names):
            self._health.set(service, status)


def _options(settings: Settings) -> list[tuple[str, int]]:
    seconds = {
        "grpc.max_connection_idle_ms": settings.connection_idle_seconds,
        "grpc.max_connection_age_ms": settings.connection_age_seconds,
        "grpc.max_connection_age_grace_ms": settings.connection_age_grace_seconds,
        "grpc.keepalive_time_ms": settings.keepalive_seconds,
    }
    pending = max(_MIN_PENDING, _PENDING * settings.in_flight_calls) if settings.in_flight_calls else _NEVER
    return [
        ("grpc.max_receive_message_length", settings.message_bytes + _FRAME_BYTES),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # a port that is taken is an error, not a silent share
        ("grpc.max_concurrent_streams", settings.connection_calls),
        # Past these gRPC itself cancels calls, and does not say why. Refusing calls is the task of admission.
        ("grpc.server.max_pending_requests", pending),
        ("grpc.server.max_pending_requests_hard_limit", pending),
        *((name, _milliseconds(value) if value else _NEVER) for name, value in seconds.items()),
        ("grpc.keepalive_timeout_ms", _milliseconds(settings.keepalive_timeout_seconds)),
        # gRPC 1.85 waits this long, by default a minute, whatever the timeout above.
        ("grpc.http2.ping_timeout_ms", _milliseconds(settings.keepalive_timeout_seconds)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _milliseconds(settings.client_ping_seconds)),
    ]


def _milliseconds(seconds: float) -> int:
    return math.ceil(seconds * 1000)
