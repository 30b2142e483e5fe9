"""Endpoint: the half of a client that is the same whether it blocks or awaits."""

import math
import time
from pathlib import Path

import grpc

from vae.channel import connection
from vae.description import Catalogue
from vae.errors import InvalidInput
from vae.failures import call_error, pause_before_retry


class Endpoint:
    """What both clients take, and what they know of the server; takes no part in I/O."""

    def __init__(
        self,
        target: str,
        *,
        timeout_seconds: float = 60.0,
        token: str | None = None,
        tls: bool = False,
        root_certificates: str | Path | None = None,
        client_certificate: str | Path | None = None,
        client_key: str | Path | None = None,
    ) -> None:
        self._connection = connection(
            target,
            token=token,
            tls=tls,
            root_certificates=root_certificates,
            client_certificate=client_certificate,
            client_key=client_key,
        )
        self._timeout_seconds = _check_timeout(timeout_seconds)
        self._catalogue = Catalogue()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection.target!r})"

    def _seconds(self, timeout_seconds: float | None) -> float:
        return self._timeout_seconds if timeout_seconds is None else _check_timeout(timeout_seconds)

    def _pause(self, error: grpc.RpcError, timeout_seconds: float, deadline: float) -> float:
        """Returns how long to wait before trying again, in seconds, or raises what the error means."""
        failure = call_error(error, self._connection.target, timeout_seconds)
        pause = pause_before_retry(failure)
        if pause is None or time.monotonic() + pause >= deadline:
            raise failure from error
        return pause


def _check_timeout(seconds: float) -> float:
    if not 0 < seconds < math.inf:
        raise InvalidInput("timeout_seconds", f"is {seconds}, must be finite and above 0")
    return float(seconds)
