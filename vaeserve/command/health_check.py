"""Health: asks a server, through `grpc.health.v1`, whether it is there and ready."""

import re

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from vaeserve.client.channel import Connection, open_channel
from vaeserve.errors import CallError

_REFUSED = re.compile("connection refused|no such file or directory", re.IGNORECASE)  # the latter of a Unix socket
_LOOK_SECONDS = 1.0  # a machine without a server refuses at once


def ask_health(connection: Connection, timeout_seconds: float, service: str = "") -> str:
    """Returns the health of a service, or of the whole server: SERVING, or for example NOT_SERVING.

    Raises:
        grpc.RpcError: the call failed, at once if nothing listens: health calls are not repeated.
    """
    request = health_pb2.HealthCheckRequest(service=service)
    with open_channel(connection) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        reply = check(request, timeout=timeout_seconds, metadata=connection.metadata)
    name: str = health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)
    return name


def check_listening(connection: Connection) -> None:
    """Fails at once if nothing listens, because calls would be repeated for a while. Ignores any other failure.

    Raises:
        CallError: UNAVAILABLE; the connection is refused.
    """
    try:
        ask_health(connection, _LOOK_SECONDS)
    except grpc.RpcError as exc:
        if is_refused(exc):
            raise not_listening(connection.target) from exc


def is_refused(error: grpc.RpcError) -> bool:
    """Whether a call failed because nothing listens at the target."""
    details = getattr(error, "details", lambda: "")() or ""
    return _REFUSED.search(details) is not None


def not_listening(target: str) -> CallError:
    """Returns the error for a refused connection."""
    return CallError("UNAVAILABLE", f"nothing listens at {target} (connection refused): is `vae serve` running there?")
