"""Failures: the one place where gRPC's errors become CallError."""

import random
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple, Protocol, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from vaeserve.client.targets import proxy_variable
from vaeserve.errors import CallError
from vaeserve.v1 import vae_pb2 as pb

_REMEDY = "; allow more time (timeout_seconds, --timeout) or send fewer rows"
_MINIMUM_PAUSE_SECONDS = 0.01
_TOO_LARGE = re.compile(r"(CLIENT|SERVER): (Received|Sent) message larger than max \((\d+) vs\. (\d+)\)")
_LAST_ERROR = re.compile(r"^.*; last error: (UNKNOWN: )?", re.DOTALL)
_PLAINTEXT = re.compile(r"Tls handshake failed.*WRONG_VERSION_NUMBER.*", re.DOTALL)
_OK = grpc.StatusCode.OK.value[0]
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_DETAIL_TYPES = (error_details_pb2.BadRequest, error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo)


class _FailedCall(Protocol):
    """What the errors of blocking and asynchronous channels have in common."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...


class StreamFailure(grpc.RpcError):
    """The failure of a stream, or of one of its calls, in the form of a failed RPC.

    It is a class of its own because the batches of a caller may come from RPCs too, whose failures are not ours.
    """

    def __init__(self, code: grpc.StatusCode, message: str, trailers: Iterable[tuple[str, str | bytes]] = ()) -> None:
        super().__init__(message)
        self._code = code
        self._message = message
        self._trailers = tuple(trailers)

    @classmethod
    def of_reply(cls, error: pb.Error) -> "StreamFailure":
        """Returns the failure that a reply reports."""
        if error.code == _OK:
            return cls(grpc.StatusCode.UNKNOWN, "the reply has neither an answer that this client knows nor an error")
        code = _CODES.get(error.code, grpc.StatusCode.UNKNOWN)
        # Error is google.rpc.Status, field by field.
        return cls(code, error.message, [("grpc-status-details-bin", error.SerializeToString())])

    @classmethod
    def of_stream(cls, error: grpc.RpcError) -> "StreamFailure":
        """Returns the failure of a broken stream, and of each call that it left without an answer.

        If a proxy cuts a stream off, because its server died, gRPC reports INTERNAL. That is a broken connection too.
        The server's own INTERNAL comes with trailers.
        """
        failed = cast(_FailedCall, error)
        code, trailers = failed.code(), failed.trailing_metadata() or ()
        if code is grpc.StatusCode.INTERNAL and not trailers:
            code = grpc.StatusCode.UNAVAILABLE
        failure = cls(code, failed.details() or "", trailers)
        failure.__cause__ = error
        return failure

    @classmethod
    def ended(cls) -> "StreamFailure":
        """Returns the failure of a call whose stream ended without its answer."""
        return cls(grpc.StatusCode.UNAVAILABLE, "the stream ended too early")

    @property
    def is_passing(self) -> bool:
        """Whether the call may be repeated, by gRPC's own rule for unary calls."""
        return self._code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)

    def code(self) -> grpc.StatusCode:
        """As of an RPC."""
        return self._code

    def details(self) -> str:
        """As of an RPC."""
        return self._message

    def trailing_metadata(self) -> tuple[tuple[str, str | bytes], ...]:  # type: ignore[override]  # plain pairs do
        """As of an RPC."""
        return self._trailers


class _Details(NamedTuple):
    field: str | None = None
    reason: str | None = None
    retry_seconds: float | None = None


def call_error(error: grpc.RpcError, target: str, timeout_seconds: float) -> CallError:
    """Returns the error of a failed RPC, on one line."""
    failed = cast(_FailedCall, error)
    code = failed.code()
    text = "".join(char if char.isprintable() else " " for char in failed.details() or "")
    details = _parse_details(failed)
    too_large = _TOO_LARGE.search(text)
    if too_large:
        details = details._replace(reason=details.reason or "MESSAGE_TOO_LARGE")
        text = _explain_size(*too_large.groups())
    elif code is grpc.StatusCode.UNAVAILABLE:
        text = _PLAINTEXT.sub("it does not speak TLS", _LAST_ERROR.sub("", text))
        text = f"{target} cannot be reached{_through(target)} or takes no calls: {text}"
    elif code is grpc.StatusCode.DEADLINE_EXCEEDED:
        text = f"no answer from {target}{_through(target)} within {timeout_seconds:g} s ({text}){_REMEDY}"
    elif details.reason == "DEADLINE_UNREACHABLE":
        text += _REMEDY
    return CallError(code.name, " ".join(text.split()) or "the server gave no reason", **details._asdict())


def pause_before_retry(error: grpc.RpcError, target: str, timeout_seconds: float, deadline: float) -> float:
    """Returns how long to wait before a failed RPC is tried again, in seconds.

    At least as long as the server asks for, and random, so that clients refused together do not return together.

    Raises:
        CallError: another try would not help, or would come too late.
    """
    failure = call_error(error, target, timeout_seconds)
    if failure.code == "RESOURCE_EXHAUSTED" and failure.retry_seconds is not None:
        pause = max(failure.retry_seconds, _MINIMUM_PAUSE_SECONDS) * random.uniform(1.0, 1.5)
        if time.monotonic() + pause < deadline:
            return pause
    raise failure from error


class Patience:
    """How long a broken stream is opened again: until `timeout_seconds` have passed without an answer."""

    def __init__(self, target: str, timeout_seconds: float) -> None:
        self.timeout_seconds = timeout_seconds
        self._target = target
        self._broken_since: float | None = None
        self._pauses = 0

    def answered(self) -> None:
        """Notes an answer: the time starts again."""
        self._broken_since, self._pauses = None, 0

    def pause(self, error: grpc.RpcError) -> float:
        """Returns how long to wait before the stream is opened again, in seconds.

        Raises:
            CallError: another try would not help, or would come too late.
        """
        failure = self.error_of(error)
        now = time.monotonic()
        if self._broken_since is None:
            self._broken_since = now
        pause = max(stream_pause(self._pauses), failure.retry_seconds or 0.0)
        if not passes(failure) or now + pause > self._broken_since + self.timeout_seconds:
            raise failure from error
        self._pauses += 1
        return pause

    def error_of(self, error: grpc.RpcError) -> CallError:
        """Returns the error of a failed RPC, or of a failed call of a stream."""
        return call_error(error, self._target, self.timeout_seconds)

    def too_late(self) -> CallError:
        """Returns the error for no answer in time."""
        late = StreamFailure(grpc.StatusCode.DEADLINE_EXCEEDED, "the stream is open, but no message came")
        return self.error_of(late)


def passes(failure: CallError) -> bool:
    """Whether the next try may succeed: the server starts, stops or is full, or the network failed."""
    return failure.code in ("UNAVAILABLE", "CANCELLED") or failure.retry_seconds is not None


def stream_pause(number: int) -> float:
    """Returns the pause before the next try after a broken stream, in seconds; as long as in gRPC's own retries."""
    return float(min(0.2 * 2.0 ** min(number, 10), 2.0) * random.uniform(0.8, 1.2))


def client_closed() -> CallError:
    """Returns the error of a call on a closed client."""
    return CallError("CANCELLED", "the client is closed")


def _through(target: str) -> str:
    """Returns a note on the proxy, if there is one, because whoever set it may have forgotten it."""
    variable = proxy_variable(target)
    return f" through {variable}" if variable else ""


def _explain_size(side: str, direction: str, size: str, limit: str) -> str:
    whose = "the server's" if side == "SERVER" else "this client's"
    what = "request" if (side, direction) in (("SERVER", "Received"), ("CLIENT", "Sent")) else "reply"
    return f"the {what} takes {size} bytes, {whose} limit on a {what} is {limit} bytes: send fewer rows per call"


def _parse_details(failed: _FailedCall) -> _Details:
    try:
        status = rpc_status.from_call(cast(grpc.Call, failed))
        return _merge_details(status) if status else _Details()
    except (ValueError, DecodeError):  # the details come from a proxy, not from the server
        return _Details()


def _merge_details(status: status_pb2.Status) -> _Details:
    merged = _Details()
    for packed in status.details:
        for kind in _DETAIL_TYPES:
            detail = kind()
            if not packed.Unpack(detail):
                continue
            if isinstance(detail, error_details_pb2.BadRequest) and detail.field_violations:
                merged = merged._replace(field=detail.field_violations[0].field)
            elif isinstance(detail, error_details_pb2.ErrorInfo):
                merged = merged._replace(reason=detail.reason)
            elif isinstance(detail, error_details_pb2.RetryInfo):
                with suppress(ValueError, OverflowError):  # out of the clock's range
                    merged = merged._replace(retry_seconds=detail.retry_delay.ToTimedelta().total_seconds())
    return merged
