"""Admission: what every call passes before its method is looked up and its request is read."""

import logging

from serving.in_flight import Calls
from serving.tally import CallTally
from serving.tracing.trace_context import PARENT_KEY, STATE_KEY, read_trace_context
from serving.transport.context import Context, Metadata
from serving.transport.request_ids import KEY, RequestId
from serving.transport.status import Refusal, refusal_of
from serving.transport.tokens import Tokens
from vaeserve.errors import Overloaded, VaeError

_log = logging.getLogger(__name__)

_OPEN_TO_ALL = b"/grpc.health.v1.Health/"
_RETRY_SECONDS = 0.1
_TOKEN_KEY = "authorization"


class CallAdmission:
    """Refuses a call, or leaves it to its method.

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

    def refuse(self, context: Context) -> Refusal | None:
        """Gives a call its request id. Returns what refuses it; None if it is admitted."""
        sent = authorization = caller = None
        for key, value in context.metadata:
            if key == KEY:
                sent = str(value)
            elif key == _TOKEN_KEY:
                authorization = str(value)
            elif key == PARENT_KEY:
                caller = read_trace_context(str(value), _trace_state(context.metadata))
        context.request_id = RequestId(sent, caller)
        if context.method.startswith(_OPEN_TO_ALL):
            return None
        try:
            if self._tokens:
                self._tokens.check(authorization)
            if 0 < self._maximum_calls <= self._calls.open:
                raise Overloaded(f"{self._calls.open} calls are in flight", _RETRY_SECONDS, reason="TOO_MANY_CALLS")
        except VaeError as exc:
            _log.debug("refused %s: %s", context.path, exc, extra={"request_id": context.request_id})
            refusal = refusal_of(exc)
            self._tally.refused[refusal.code.name] += 1
            return refusal
        return None


def _trace_state(metadata: Metadata) -> str:
    """Returns the caller's trace state; several headers are one list."""
    return ",".join(str(value) for key, value in metadata if key == STATE_KEY)
