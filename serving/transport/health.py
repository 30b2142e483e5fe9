"""Health: `grpc.health.v1`."""

import asyncio

import grpc
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from serving.transport.context import Context
from serving.transport.front import Handler
from serving.transport.reading import parse_or_fail
from serving.transport.status import Refusal

LIVENESS = "liveness"
"""The name that is SERVING as long as the server answers at all; every other name says whether it is ready."""


class Health:
    """What the server says of its services."""

    def __init__(self) -> None:
        self._statuses: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._is_stopping = False

    @property
    def handlers(self) -> dict[str, Handler]:
        """What answers its methods, by their paths."""
        return {f"/{health.SERVICE_NAME}/Check": self._check, f"/{health.SERVICE_NAME}/Watch": self._watch}

    def set(self, service: str, status: int) -> None:
        """Sets a service's status, and tells those who watch it."""
        self._statuses[service] = status
        self._tell()

    def stop(self) -> None:
        """Ends every Watch; a single open one would use up the grace period."""
        self._is_stopping = True
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _check(self, context: Context) -> None:
        if (service := await _read(context)) is None:
            return
        if (status := self._statuses.get(service)) is None:
            context.fail(Refusal(grpc.StatusCode.NOT_FOUND, "", ()))
        else:
            context.finish(HealthCheckResponse(status=status).SerializeToString())

    async def _watch(self, context: Context) -> None:
        """Streams every change of a service's status until the caller leaves or the server stops."""
        if (service := await _read(context)) is None:
            return
        sent: int | None = None
        while not self._is_stopping:
            changed, status = self._changed, self._statuses.get(service, HealthCheckResponse.SERVICE_UNKNOWN)
            if status != sent:
                await context.write(HealthCheckResponse(status=status).SerializeToString())
                sent = status
            else:
                await changed.wait()
        context.finish()


async def _read(context: Context) -> str | None:
    """Returns which service a call asks for; None: it has failed."""
    request = parse_or_fail(context, await context.read() or b"", HealthCheckRequest)
    return None if request is None else request.service
