"""The table of status codes."""

import grpc
import pytest
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from serving.transport.status import CODES, refusal_of
from vaeserve import errors

_NEVER_SENT = {errors.PackageError, errors.StartupError, errors.TrainingError, errors.JobError, errors.CallError}


def test_the_table_is_total() -> None:
    assert set(CODES) | _NEVER_SENT == set(errors.VaeError.__subclasses__())


@pytest.mark.parametrize("error", [ValueError("secret path"), errors.PackageError("secret path"), KeyError("secret")])
def test_an_unexpected_error_tells_nothing(error: Exception) -> None:
    assert refusal_of(error) == (grpc.StatusCode.INTERNAL, "internal error", ())


def _details(error: Exception) -> Status:
    ((key, value),) = refusal_of(error).trailers
    assert key == "grpc-status-details-bin"
    return Status.FromString(value)


def test_bad_input_names_its_field() -> None:
    status = _details(errors.InvalidInput("latent.shape", "is [1]"))
    bad = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(bad)
    assert (bad.field_violations[0].field, bad.field_violations[0].description) == ("latent.shape", "is [1]")
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_overload_says_when_to_return() -> None:
    status = _details(errors.Overloaded("full", retry_seconds=0.25))
    retry = error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 250


def test_a_failed_precondition_gives_its_reason() -> None:
    status = _details(errors.PreconditionFailed("FINGERPRINT_MISMATCH", "another pair"))
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("FINGERPRINT_MISMATCH", "vaeserve")
