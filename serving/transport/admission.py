"""Admission: what every call passes before its method is looked up and its request is read."""

import logging

import grpc

from serving.in_flight import Calls
from serving.tally import CallTally
from serving.tracing.trace_context import PARENT_KEY, STATE_KEY, read_trace_context
from serving.transport.context import Metadata
from serving.transport.request_ids import KEY, RequestId, identify
from serving.transport.status import Refusal, refusal_of
from serving.transport.tokens import Tokens
from vaeserve.errors import Overloaded, Unauthenticated, VaeError

_log = logging.getLogger(__name__)

_OPEN_TO_ALL = "/grpc.health.v1.Health/"
_RETRY_SECONDS = 0.1
_TOKEN_KEY = "authorization"


class CallAdmission(grpc.GenericRpcHandler):
    """The first of a server's handlers. It refuses a call, or leaves it to the other handlers.

    An interceptor would do the same and cost each call more. Methods registered with the server, as generated code
    registers them, would bypass it.

    Args:
        tokens: who may call; None: everyone.
        maximum_calls: maximum number of open RPCs; 0: no limit.
        calls: counts the open RPCs.
        tally: counts the calls that are refused.
    """

    def __init__(self, tokens: Tokens | None, maximum_calls: int, calls: Calls, tally: CallTally) -> None:
        self._tokens = tokens
        self._maximum_calls = maximum_calls
        self._calls = calls
        self._tally = tally

    def may_call(self, metadata: Metadata) -> bool:
        """Whether a caller has the token that is needed, if one is."""
        try:
            if self._tokens:
                self._tokens.check(next((str(value) for key, value in metadata if key == _TOKEN_KEY), None))
        except Unauthenticated:
            return False
        return True

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        """Returns a method that refuses the call; None if the call is admitted."""
        sent = authorization = caller = None
        for key, value in handler_call_details.invocation_metadata:
            if key == KEY:
                sent = str(value)
            elif key == _TOKEN_KEY:
                authorization = str(value)
            elif key == PARENT_KEY:
                caller = read_trace_context(str(value), _trace_state(handler_call_details.invocation_metadata))
        request_id = identify(sent, caller)
        if handler_call_details.method.startswith(_OPEN_TO_ALL):
            return None
        try:
            if self._tokens:
                self._tokens.check(authorization)
            if 0 < self._maximum_calls <= self._calls.open:
                raise Overloaded(f"{self._calls.open} calls are in flight", _RETRY_SECONDS, reason="TOO_MANY_CALLS")
        except VaeError as exc:
            _log.debug("refused %s: %s", handler_call_details.method or "a call of an unknown method", exc)
            refusal = refusal_of(exc)
            self._tally.refused[refusal.code.name] += 1
            return _refusing(refusal, request_id)
        return None


def _refusing(refusal: Refusal, request_id: RequestId) -> "grpc.RpcMethodHandler[bytes, bytes]":
    """Returns a method that answers any call with an error."""

    async def refuse(requests: object, context: "grpc.aio.ServicerContext[bytes, bytes]") -> None:
        context.set_code(refusal.code)
        context.set_details(refusal.message)
        context.set_trailing_metadata((*refusal.trailers, *request_id.trailers))

    return grpc.stream_stream_rpc_method_handler(refuse)


def _trace_state(metadata: Metadata) -> str:
    """Returns the caller's trace state; several headers are one list."""
    return ",".join(str(value) for key, value in metadata if key == STATE_KEY)
