"""What every call passes: the limit of calls in flight."""

from concurrent.futures import ThreadPoolExecutor, wait

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.servers import RunningServer, StartServer, status_of, until
from vaeserve import Client
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub


@pytest.fixture
def slow(start_server: StartServer) -> RunningServer:
    """A server that takes two calls at once, and a second for each."""
    flags = ("--in-flight-calls", "2", "--wait-milliseconds", "1000", "--batch-rows", "10000")
    return start_server(*flags)


def test_calls_past_the_limit_are_refused_and_told_when_to_return(slow: RunningServer) -> None:
    with grpc.insecure_channel(slow.target) as channel:
        stub = VaeServiceStub(channel)
        futures = [stub.Sample.future(pb.SampleRequest(count=1, seed=seed)) for seed in range(8)]
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        failures = [future.exception() for future in futures]
        refused = [failure for failure in failures if isinstance(failure, grpc.RpcError)]
        assert len(refused) == 6
        status = status_of(refused[0])
        retry, info = error_details_pb2.RetryInfo(), error_details_pb2.ErrorInfo()
        assert status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
        assert status.details[0].Unpack(retry)
        assert retry.retry_delay.ToMilliseconds() == 100
        assert status.details[1].Unpack(info)
        assert info.reason == "TOO_MANY_CALLS"
        assert stub.Sample(pb.SampleRequest(count=1, seed=9)).seed == 9  # there is room again


def _is_full(stub: VaeServiceStub) -> bool:
    try:
        stub.GetModel(pb.GetModelRequest())
    except grpc.RpcError as error:
        assert "RESOURCE_EXHAUSTED" in str(error)
        return True
    return False


def test_cancelled_calls_no_longer_count(slow: RunningServer) -> None:
    with grpc.insecure_channel(slow.target) as channel:
        stub = VaeServiceStub(channel)
        futures = [stub.Sample.future(pb.SampleRequest(count=1)) for _ in range(2)]

        def fill() -> bool:
            """Whether two calls have arrived. Those that were refused or answered meanwhile are made again."""
            futures[:] = [future for future in futures if not future.done()]
            futures.extend(stub.Sample.future(pb.SampleRequest(count=1)) for _ in range(2 - len(futures)))
            return _is_full(stub)

        until(fill)
        for future in futures:
            future.cancel()
        with Client(slow.target) as client:
            assert client.sample(1, seed=3).seed == 3


def test_our_client_returns_until_there_is_room(slow: RunningServer) -> None:
    with Client(slow.target) as client, ThreadPoolExecutor(6) as pool:
        client.get_model()
        calls = [pool.submit(client.sample, 1, seed=seed) for seed in range(6)]
        wait(calls)
        assert [call.result().seed for call in calls] == list(range(6))
