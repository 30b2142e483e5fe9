"""Health: `grpc.health.v1`."""

import asyncio

import grpc
from grpc_health.v1 import health, health_pb2

LIVENESS = "liveness"
"""The name that is SERVING as long as the server answers at all; every other name says whether it is ready."""


class Health(health.aio.HealthServicer):  # type: ignore[misc]  # ships no types
    """Health that ends every Watch when the server stops; a single open one would use up the grace period."""

    def __init__(self) -> None:
        super().__init__()
        self.stopping = asyncio.Event()

    async def Watch(  # noqa: N802, the names of RPCs are given
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> None:
        """Streams every change of a service's health until the caller leaves or the server stops."""
        watching = asyncio.create_task(super().Watch(request, context))
        stopping = asyncio.create_task(self.stopping.wait())
        try:
            await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                watching.result()
        finally:
            watching.cancel()
            stopping.cancel()
