"""The health question, put to a real server, to one that knows no health, and to none."""

from typing import TYPE_CHECKING

import grpc
import pytest

from tests.support.servers import RunningServer
from vaeserve.client.channel import connection
from vaeserve.command.health_check import ask_health, check_listening, is_refused
from vaeserve.errors import CallError

if TYPE_CHECKING:
    from tests.vaeserve.conftest import Server


def test_the_health_of_a_server_and_of_a_service_it_does_not_know(server_of_tiny: RunningServer) -> None:
    to = connection(server_of_tiny.target)
    assert (ask_health(to, 20), ask_health(to, 20, "liveness")) == ("SERVING", "SERVING")
    with pytest.raises(grpc.RpcError) as caught:
        ask_health(to, 20, "nobody")
    assert not is_refused(caught.value)


def test_a_server_that_answers_anything_listens(server: "Server") -> None:
    to = connection(server.target)
    with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
        ask_health(to, 20)
    check_listening(to)


@pytest.mark.parametrize("target", ["127.0.0.1:{port}", "unix:/nowhere/{port}.sock"])
def test_nothing_listens(target: str, port: str) -> None:
    to = connection(target.format(port=port))
    with pytest.raises(grpc.RpcError) as caught:
        ask_health(to, 20)
    assert is_refused(caught.value)
    with pytest.raises(CallError, match=r"^UNAVAILABLE: nothing listens at .* is `vae serve` running there\?$"):
        check_listening(to)


def test_an_error_without_details_is_not_a_refusal() -> None:
    assert not is_refused(grpc.RpcError())
