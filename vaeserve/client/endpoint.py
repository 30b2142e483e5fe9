"""Endpoint: what a client was told about a server, and what it remembers of it. The same for both clients."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Unpack

import grpc
from google.protobuf.message import Message

from vaeserve.client.call import PreparedCall, Reply, Result, Route
from vaeserve.client.channel import connection
from vaeserve.client.description import Model, parse_model
from vaeserve.client.failures import Patience, client_closed
from vaeserve.client.options import ConnectionOptions
from vaeserve.client.scalars import positive
from vaeserve.client.stride import Stride, rows_of
from vaeserve.client.trace import trace_fields
from vaeserve.errors import CallError, InvalidInput
from vaeserve.package.sizes import PictureSize
from vaeserve.v1 import vae_pb2 as pb

_TIMEOUT_LIMIT_SECONDS = 1e9  # what gRPC can count


class CallPlan(NamedTuple):
    """The requests of a call, for the model as it was last described."""

    model: Model
    stride: Stride
    """Learns from every answer how many rows the next request may hold."""
    requests: Iterable[Message]
    size: PictureSize | None = None
    """Of the pictures, where sizes are free."""

    def learn(self, request: Message, reply: Message) -> None:
        """Notes how long an answered request ran."""
        self.stride.learn(rows_of(request) * self.model.data.weight(self.size), reply)


class Endpoint:
    """A server, as one client knows it.

    Args:
        target: a gRPC target.
        parallel_parts: number of a call's parts that are on their way at once.
        timeout_seconds: deadline of each request, unless a call has its own.
        **options: how the server is reached.

    Raises:
        InvalidInput: an option is out of range, the options contradict each other, or a file cannot be read.
    """

    def __init__(
        self,
        target: str,
        parallel_parts: int,
        /,
        *,
        timeout_seconds: float = 60.0,
        **options: Unpack[ConnectionOptions],
    ) -> None:
        self.connection = connection(target, **options)
        """How the server is reached, for callers that open their own channel."""
        self._timeout_seconds = check_timeout(timeout_seconds)
        self._parallel_parts = parallel_parts
        self.arguments: dict[str, object] = {"target": target, "timeout_seconds": timeout_seconds, **options}
        """What another process makes an equal endpoint from. Connections do not travel; the token does."""
        self._models: dict[Route, Model] = {}
        self.is_closed = False

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Returns what an RPC that begins now sends beside its message."""
        return (*self.connection.metadata, *trace_fields())

    def seconds(self, timeout_seconds: float | None) -> float:
        """Returns the deadline of a call: its own, or the client's. Raises InvalidInput as `check_timeout` does."""
        return self._timeout_seconds if timeout_seconds is None else check_timeout(timeout_seconds)

    def model(self, route: Route) -> Model | None:
        """Returns a model as it was last described; None if it has to be described (again)."""
        return self._models.get(route)

    def plan(self, call: PreparedCall[Reply, Result], seconds: float) -> CallPlan | None:
        """Returns the plan for the model as last described, or None if it must be described (again).

        A call that does not fit the remembered model may fit its successor.
        """
        model = self._models.get(call.route)
        if model is None:
            return None
        try:
            return self.plan_for(model, call, seconds)
        except InvalidInput:
            return None

    def plan_for(self, model: Model, call: PreparedCall[Reply, Result], seconds: float) -> CallPlan:
        """Returns the plan for a model. Raises InvalidInput if the call does not fit it."""
        stride = Stride(model, seconds, self._parallel_parts)
        return CallPlan(model, stride, call.requests(model, stride.rows), call.size(model))

    def remember(self, route: Route, reply: pb.GetModelResponse) -> Model:
        """Remembers the description of a model, and returns it."""
        model = self._models[route] = parse_model(reply.model)
        return model

    @contextmanager
    def doubting(self, route: Route) -> Iterator[None]:
        """Forgets the model if a call that was made for it fails."""
        try:
            yield
        except CallError:
            self._models.pop(route, None)
            raise

    def join(self, call: PreparedCall[Reply, Result], model: Model, replies: list[Reply]) -> Result:
        """Returns the result of a call that was made for a model. Forgets the model if another pair has answered."""
        result = call.join(model, replies)
        remembered = self._models.get(call.route)
        if remembered is not None and remembered.fingerprint != result.fingerprint:
            self._models.pop(call.route, None)
        return result

    def pause(self, patience: Patience, error: grpc.RpcError) -> float:
        """Returns how long to wait before a broken stream is opened again.

        Raises:
            CallError: the client is closed, another try would not help, or would come too late.
        """
        if self.is_closed:
            raise client_closed() from error
        return patience.pause(error)


def check_timeout(timeout_seconds: float) -> float:
    """Checks a deadline.

    Raises:
        InvalidInput: the deadline is not above 0, or is too large for gRPC.
    """
    return positive("timeout_seconds", timeout_seconds, _TIMEOUT_LIMIT_SECONDS)
