"""Request ids: whose they are, and when they are told."""

import re

import grpc
import pytest

from tests.support.servers import RunningServer, StartServer, until_in_flight
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

GOOD, BAD = pb.SampleRequest(count=1), pb.SampleRequest(count=-1)


def _told(server: RunningServer, request: pb.SampleRequest, sent: str | None = None) -> str | None:
    """Returns the id that a call is answered with."""
    metadata = () if sent is None else (("x-request-id", sent),)
    with grpc.insecure_channel(server.target) as channel:
        try:
            _, call = VaeServiceStub(channel).Sample.with_call(request, metadata=metadata)
            trailers = list(call.trailing_metadata())
        except grpc.RpcError as error:
            trailers = [(item.key, item.value) for item in error.trailing_metadata() or ()]
    told = [value for key, value in trailers if key == "x-request-id"]
    assert len(told) <= 1
    return str(told[0]) if told else None


@pytest.mark.parametrize("request_", [GOOD, BAD])
def test_a_callers_id_is_told_back(server: RunningServer, request_: pb.SampleRequest) -> None:
    assert _told(server, request_, "job-7/row=3") == "job-7/row=3"


def test_without_one_only_a_failure_tells_an_id(server: RunningServer) -> None:
    assert _told(server, GOOD) is None
    first, second = _told(server, BAD), _told(server, BAD)
    assert first
    assert re.fullmatch("[0-9a-f]{16}", first)
    assert first != second


@pytest.mark.parametrize("sent", ["two words", "x" * 129, ""])
def test_an_id_that_would_spoil_the_log_is_not_taken(server: RunningServer, sent: str) -> None:
    assert _told(server, GOOD, sent) is None
    told = _told(server, BAD, sent)
    assert told
    assert told != sent


def test_every_call_is_logged_at_level_debug(start_server: StartServer, port: str) -> None:
    flags = ("--log-level", "debug", "--wait-milliseconds", "1000", "--batch-rows", "10000")
    server = start_server("--metrics-port", port, *flags)
    _told(server, GOOD, "mine")
    failed = _told(server, BAD)
    with grpc.insecure_channel(server.target) as channel:
        call = VaeServiceStub(channel).Sample.future(GOOD, metadata=(("x-request-id", "gone"),))
        until_in_flight(port, 1)
        call.cancel()
        until_in_flight(port, 0)
    log = server.stop()
    for line in (
        r"Sample OK in \d+\.\d ms \[mine\]",
        rf"Sample INVALID_ARGUMENT in \d+\.\d ms \[{failed}\]",
        r"Sample CANCELLED in \d+\.\d ms \[gone\]",
    ):
        assert len(re.findall(f"DEBUG   {line}\n", log)) == 1, (line, log)


def test_nothing_is_logged_of_calls_at_level_info(start_server: StartServer) -> None:
    server = start_server()
    _told(server, GOOD, "mine")
    _told(server, BAD, "bad")
    lines = [line.split()[2] for line in server.stop().splitlines()]
    assert lines == ["serving", "stopping:", "stopped"]
