"""Health: a service's status when asked, and every change of it to those who watch."""

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from serving.transport.front import Front
from serving.transport.health import Health
from tests.support.fronts import play_front

UP, DOWN, UNKNOWN = (
    HealthCheckResponse.SERVING,
    HealthCheckResponse.NOT_SERVING,
    HealthCheckResponse.SERVICE_UNKNOWN,
)


def test_a_status_is_told_and_a_name_that_is_not_there_is_not_found() -> None:
    health = Health()
    health.set("", UP)

    async def scenario(channel: grpc.aio.Channel, _: Front) -> None:
        stub = HealthStub(channel)
        assert (await stub.Check(HealthCheckRequest(), timeout=60)).status == UP
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await stub.Check(HealthCheckRequest(service="other"), timeout=60)
        assert unknown.value.code() == grpc.StatusCode.NOT_FOUND
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/grpc.health.v1.Health/Check")
        with pytest.raises(grpc.aio.AioRpcError) as wrong:
            await call(b"\xff", timeout=60)
        assert wrong.value.code() == grpc.StatusCode.INVALID_ARGUMENT

    play_front(scenario, health.handlers)


def test_all_who_watch_hear_of_every_change_though_some_leave() -> None:
    health = Health()

    async def scenario(channel: grpc.aio.Channel, _: Front) -> None:
        stub = HealthStub(channel)
        first, second = (stub.Watch(HealthCheckRequest(service="a"), timeout=60) for _ in range(2))
        assert [(await watch.read()).status for watch in (first, second)] == [UNKNOWN, UNKNOWN]
        first.cancel()
        for status in (UP, DOWN):
            health.set("b", status)  # which nobody watches
            health.set("a", status)
            assert (await second.read()).status == status
        health.stop()
        assert await second.read() is grpc.aio.EOF

    play_front(scenario, health.handlers)


def test_who_watches_a_server_that_has_stopped_hears_nothing() -> None:
    health = Health()
    health.set("a", DOWN)
    health.stop()

    async def scenario(channel: grpc.aio.Channel, _: Front) -> None:
        replies = [
            reply.status async for reply in HealthStub(channel).Watch(HealthCheckRequest(service="a"), timeout=60)
        ]
        assert replies == []

    play_front(scenario, health.handlers)
