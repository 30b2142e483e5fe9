"""Any number of rows, a message at a time."""

import asyncio
import signal
from typing import Any

import grpc
import pytest

from serving.batching.device import Device
from serving.models.loading import load
from serving.models.registry import Models
from serving.models.served import serve_model
from serving.settings import Settings
from serving.transport.context import CallerLeft
from serving.turns import Turns
from serving.vae_v1.images import Images
from serving.vae_v1.sample_stream import messages, sample
from serving.vae_v1.streams import Streams
from tests.support.in_process import server_of
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


class DeafContext:
    """The context of a call whose caller has left, as a write finds out."""

    metadata = ()
    seconds_left = None

    async def write(self, message: object) -> None:
        raise CallerLeft


def test_messages_for_a_caller_who_has_left_count_as_cancelled(settings: Settings) -> None:
    async def run() -> set[tuple[str, str, str]]:
        models = Models()
        models.put(serve_model(load(settings.package, settings), Device(), settings))
        models.loaded()
        _, answering = server_of(models, settings)
        streams = Streams(
            models, Images(1), answering.calls, answering.tally, 2**20, answering.held, answering.reading, Turns()
        )
        request = pb.SampleStreamRequest(request=pb.SampleRequest(count=10), message_rows=1)
        with pytest.raises(CallerLeft):
            await sample(request, streams, DeafContext())  # type: ignore[arg-type]
        return set(answering.tally.seconds)

    assert asyncio.run(run()) == {("Sample", "stream", "CANCELLED")}


def test_a_request_counts_for_as_long_as_its_rows_are_sampled(settings: Settings) -> None:
    size = 2**20
    unknown = b"\xfa\x3f" + bytes((0x80, 0x80, 0x40)) + bytes(size)  # field 1023, of so many bytes
    request = pb.SampleStreamRequest(request=pb.SampleRequest(count=2**40), message_rows=1).SerializeToString()

    async def run() -> None:
        models = Models()
        models.put(serve_model(load(settings.package, settings), Device(), settings))
        models.loaded()
        server, answering = server_of(models, settings)
        async with server, grpc.aio.insecure_channel(server.address) as channel:
            rpc: Any = channel.unary_stream("/vae.v1.VaeService/SampleStream")
            stream = rpc(request + unknown)
            await stream.read()
            assert answering.held.bytes > size
            stream.cancel()
            async with asyncio.timeout(60):
                while answering.held.bytes:  # noqa: ASYNC110, it may be given back in any turn
                    await asyncio.sleep(0.001)

    asyncio.run(run())


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
