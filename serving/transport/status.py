"""Errors -> gRPC status: the one table, and it covers every error."""

import logging
from typing import NamedTuple

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from serving.transport.request_ids import RequestId
from vaeserve import errors

_log = logging.getLogger(__name__)

DOMAIN = "vaeserve"

CODES: dict[type[errors.VaeError], grpc.StatusCode] = {
    errors.InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.UnknownName: grpc.StatusCode.NOT_FOUND,
    errors.PreconditionFailed: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DeadlineUnreachable: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DeadlinePassed: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.NotReady: grpc.StatusCode.UNAVAILABLE,
    errors.ShuttingDown: grpc.StatusCode.UNAVAILABLE,
    errors.OutOfMemory: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.NonFiniteOutput: grpc.StatusCode.OUT_OF_RANGE,
    errors.EngineFailure: grpc.StatusCode.INTERNAL,
}

_REASONS: dict[type[Exception], str] = {
    errors.DeadlineUnreachable: "DEADLINE_UNREACHABLE",
    errors.OutOfMemory: "OUT_OF_MEMORY",
    errors.NonFiniteOutput: "NON_FINITE_OUTPUT",
}


class Refusal(NamedTuple):
    """The status of a call that failed."""

    code: grpc.StatusCode
    message: str
    details: tuple[AnyMessage, ...]

    @property
    def trailers(self) -> tuple[tuple[str, bytes], ...]:
        """The metadata that holds google.rpc.Status; empty without details."""
        if not self.details:
            return ()
        status = Status(code=self.code.value[0], message=self.message, details=self.details)
        return (("grpc-status-details-bin", status.SerializeToString()),)


def refusal_of(error: Exception) -> Refusal:
    """Returns the status for an error. An unexpected error reveals nothing of itself."""
    code = CODES.get(type(error)) if isinstance(error, errors.VaeError) else None
    if code is None:
        return Refusal(grpc.StatusCode.INTERNAL, "internal error", ())
    return Refusal(code, str(error), tuple(_packed(detail) for detail in _details(error)))


def refuse(what: str, error: Exception, request_id: RequestId) -> Refusal:
    """Returns the status for an error, and logs an error that is the server's fault."""
    refusal = refusal_of(error)
    if refusal.code is grpc.StatusCode.INTERNAL:
        traceback = None if isinstance(error, errors.VaeError) else error
        _log.error("%s failed: %s", what, error, exc_info=traceback, extra={"request_id": request_id})
    return refusal


def _details(error: Exception) -> list[Message]:
    if type(error) in _REASONS:
        return [ErrorInfo(reason=_REASONS[type(error)], domain=DOMAIN)]
    match error:
        case errors.InvalidInput():
            violation = BadRequest.FieldViolation(field=error.field, description=error.description)
            return [BadRequest(field_violations=[violation])]
        case errors.PreconditionFailed():
            return [ErrorInfo(reason=error.reason, domain=DOMAIN)]
        case errors.Overloaded():
            retry = RetryInfo()
            retry.retry_delay.FromMilliseconds(max(1, round(error.retry_seconds * 1000)))
            return [retry, ErrorInfo(reason=error.reason, domain=DOMAIN)]
        case _:
            return []


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
