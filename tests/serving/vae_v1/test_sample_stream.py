"""Any number of rows, a message at a time."""

import asyncio
import signal

import grpc
import pytest

from serving.batching.device import Device
from serving.models.loading import load
from serving.models.served import serve_model
from serving.settings import Settings
from serving.vae_v1.sample_stream import messages
from tests.support.servers import StartServer, ends_with
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub


def test_sample_stream_answers_the_rows_of_sample(stub: VaeServiceStub) -> None:
    request = pb.SampleRequest(count=1000, seed=7, first_row=50, include_latent=True)
    whole = stub.Sample(request)
    messages = list(stub.SampleStream(pb.SampleStreamRequest(request=request, message_rows=300)))
    assert [message.first_row for message in messages] == [50, 350, 650, 950]
    assert {message.response.seed for message in messages} == {7}
    for name in ("data", "latent"):
        joined = b"".join(getattr(message.response, name).data for message in messages)
        assert joined == getattr(whole, name).data


def test_sample_stream_takes_any_count_and_chooses_one_seed(stub: VaeServiceStub) -> None:
    endless = stub.SampleStream(pb.SampleStreamRequest(request=pb.SampleRequest(count=2**63 - 1)))
    first, second = next(endless), next(endless)
    assert first.response.seed == second.response.seed
    assert second.first_row == first.response.data.shape[0] > 1000
    endless.cancel()


@pytest.mark.parametrize(
    ("request_", "message_rows", "field"),
    [
        (pb.SampleRequest(count=0), 0, "count"),
        (pb.SampleRequest(count=2, first_row=2**63 - 1), 0, "first_row"),
        (pb.SampleRequest(count=1), -1, "message_rows"),
        (pb.SampleRequest(count=1), 16_385, "message_rows"),
    ],
)
def test_a_wrong_sample_stream_names_the_field(
    stub: VaeServiceStub, request_: pb.SampleRequest, message_rows: int, field: str
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        next(stub.SampleStream(pb.SampleStreamRequest(request=request_, message_rows=message_rows)))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert str(refused.value.details()).startswith(f"{field}: ")


def test_an_endless_sample_stream_does_not_hold_up_the_stop(start_server: StartServer) -> None:
    server = start_server("--grace-seconds", "100")
    with grpc.insecure_channel(server.target) as channel:
        request = pb.SampleRequest(count=2**63 - 1, seed=1)
        endless = VaeServiceStub(channel).SampleStream(pb.SampleStreamRequest(request=request, message_rows=100))
        rows = [next(endless).first_row]
        server.process.send_signal(signal.SIGTERM)
        rows.extend(message.first_row for message in ends_with(grpc.StatusCode.UNAVAILABLE, endless))
    assert rows == list(range(0, 100 * len(rows), 100))
    assert server.process.wait(60) == 0


@pytest.mark.parametrize(
    ("row_seconds", "asked", "expected"), [(0.2, 0, [5, 5, 2]), (3.0, 0, [1] * 12), (3.0, 8, [8, 4])]
)
def test_a_message_holds_about_a_second(
    settings: Settings, row_seconds: float, asked: int, expected: list[int]
) -> None:
    async def run() -> None:
        served = serve_model(load(settings.package, settings)._replace(row_seconds=row_seconds), Device(), settings)
        request = pb.SampleStreamRequest(request=pb.SampleRequest(count=12), message_rows=asked)
        assert [len(rows) for rows in messages(request, served)] == expected

    asyncio.run(run())
