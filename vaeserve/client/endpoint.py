"""Endpoint: the half of a client that is the same whether it blocks or awaits."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypedDict

from google.protobuf.message import Message

from vaeserve.client.calls import Call, Reply, Result, Route
from vaeserve.client.channel import Connection, connection
from vaeserve.client.description import Model, parse_model
from vaeserve.client.scalars import positive
from vaeserve.client.stride import Stride
from vaeserve.errors import CallError, InvalidInput
from vaeserve.v1 import vae_pb2 as pb

_TIMEOUT_LIMIT_SECONDS = 1e9  # what gRPC can count


class Options(TypedDict, total=False):
    """How a server is to be reached, as `Client` takes it beside the target."""

    timeout_seconds: float
    token: str | None
    tls: bool
    root_certificates: str | Path | None
    client_certificate: str | Path | None
    client_key: str | Path | None
    bulk: bool


class Plan(NamedTuple):
    """How a call is made of a model, as it was last described."""

    model: Model
    stride: Stride
    """Is told of every answer, and says how many rows the next request holds."""
    requests: Iterable[Message]


class Endpoint:
    """What a client is told of a server, and what it remembers of it."""

    _parallel_parts = 1
    """Parts of a call that are on their way at once."""

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
        bulk: bool = False,
    ) -> None:
        self._connection = connection(
            target,
            token=token,
            tls=tls,
            root_certificates=root_certificates,
            client_certificate=client_certificate,
            client_key=client_key,
            bulk=bulk,
        )
        self._timeout_seconds = positive("timeout_seconds", timeout_seconds, _TIMEOUT_LIMIT_SECONDS)
        self._arguments: dict[str, object] = {
            "target": target,
            "timeout_seconds": timeout_seconds,
            "token": token,
            "tls": tls,
            "root_certificates": root_certificates,
            "client_certificate": client_certificate,
            "client_key": client_key,
            "bulk": bulk,
        }
        self._models: dict[Route, Model] = {}
        self._closed = False
        self._start()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection.target!r})"

    def __getstate__(self) -> dict[str, object]:
        """Returns what another process makes a client of its own from; connections do not travel, the token does."""
        return self._arguments

    def __setstate__(self, arguments: dict[str, object]) -> None:
        self.__init__(**arguments)  # type: ignore[misc]  # a pickle holds what __getstate__ returned

    @property
    def connection(self) -> Connection:
        """How the server is reached, for whoever opens a channel of their own."""
        return self._connection

    def _start(self) -> None:
        """Makes what can be made before the first call."""

    def _seconds(self, timeout_seconds: float | None) -> float:
        if timeout_seconds is None:
            return self._timeout_seconds
        return positive("timeout_seconds", timeout_seconds, _TIMEOUT_LIMIT_SECONDS)

    def _plan(self, call: Call[Reply, Result], seconds: float) -> Plan | None:
        """Returns the plan for the model as last described, or None if it must be described (again).

        What does not fit a remembered model may fit the one that has taken its place since.
        """
        model = self._models.get(call.route)
        if model is None:
            return None
        try:
            return self._plan_for(model, call, seconds)
        except InvalidInput:
            return None

    def _plan_for(self, model: Model, call: Call[Reply, Result], seconds: float) -> Plan:
        """Returns the plan for a model. Raises InvalidInput if the call does not fit it."""
        stride = Stride(model, seconds, self._parallel_parts)
        return Plan(model, stride, call.requests(model, stride.rows))

    def _remember(self, route: Route, reply: pb.GetModelResponse) -> Model:
        model = self._models[route] = parse_model(reply.model)
        return model

    @contextmanager
    def _doubting(self, route: Route) -> Iterator[None]:
        """Forgets the model if a call that was made to fit it fails."""
        try:
            yield
        except CallError:
            self._models.pop(route, None)
            raise

    def _join(self, call: Call[Reply, Result], model: Model, replies: list[Reply]) -> Result:
        """Returns the result of a call that was made for a model. Forgets the model if another pair has answered."""
        result = call.join(model, replies)
        remembered = self._models.get(call.route)
        if remembered is not None and remembered.fingerprint != result.fingerprint:
            self._models.pop(call.route, None)
        return result
