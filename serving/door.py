"""Door: what every call passes before its method is looked up, and before its request is read."""

import asyncio
import logging

import grpc

from serving.request_ids import KEY, RequestId, identify
from serving.status import Refusal, refusal_of
from serving.tally import CallTally
from serving.tokens import Tokens
from vae.errors import Overloaded, VaeError

_log = logging.getLogger(__name__)

_OPEN_TO_ALL = "/grpc.health.v1.Health/"
_RETRY_SECONDS = 0.1


class Door(grpc.GenericRpcHandler):
    """The first of a server's handlers, which knows no method: it refuses a call, or leaves it to the others.

    An interceptor would do the same for more of each call's time. Methods that are registered with the server, as
    generated code does it, never come by here.

    Args:
        tokens: who may call; None is everyone.
        most_calls: calls that may be in flight; 0 is any number.
        tally: where to count those that are refused.
    """

    def __init__(self, tokens: Tokens | None, most_calls: int, tally: CallTally) -> None:
        self._tokens = tokens
        self._most_calls = most_calls
        self._tally = tally
        self._calls = 0

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        """Returns a method that refuses the call, or None if it may pass."""
        sent = authorization = None
        for key, value in handler_call_details.invocation_metadata:
            if key == KEY:
                sent = str(value)
            elif key == "authorization":
                authorization = str(value)
        request_id = identify(sent)
        if handler_call_details.method.startswith(_OPEN_TO_ALL):
            return None
        try:
            if self._tokens:
                self._tokens.check(authorization)
            if self._most_calls:
                self._count()
        except VaeError as exc:
            _log.debug("refused %s: %s", handler_call_details.method or "a call of no method that is known", exc)
            refusal = refusal_of(exc)
            self._tally.refused[refusal.code.name] += 1
            return _refusing(refusal, request_id)
        return None

    def _count(self) -> None:
        """Counts a call until gRPC is done with it.

        Raises:
            Overloaded: too many are in flight.
        """
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("gRPC looked a method up outside of the call's task. This is a bug.")
        if self._calls >= self._most_calls:
            raise Overloaded(f"{self._calls} calls are in flight", _RETRY_SECONDS, reason="TOO_MANY_CALLS")
        self._calls += 1
        task.add_done_callback(self._uncount)

    def _uncount(self, task: object) -> None:
        self._calls -= 1


def _refusing(refusal: Refusal, request_id: RequestId) -> "grpc.RpcMethodHandler[bytes, bytes]":
    """Returns a method that answers a call of any kind with an error, whatever it would ask."""

    async def refuse(requests: object, context: "grpc.aio.ServicerContext[bytes, bytes]") -> None:
        context.set_code(refusal.code)
        context.set_details(refusal.message)
        context.set_trailing_metadata((*refusal.trailers, *request_id.trailers))

    return grpc.stream_stream_rpc_method_handler(refuse)
