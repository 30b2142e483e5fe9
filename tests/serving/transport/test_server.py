"""The server as a process: readiness, health, reflection, limits, and how it stops."""

import asyncio
import signal
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from serving.models.registry import Models
from serving.settings import Settings
from serving.transport.health import LIVENESS
from tests.support import http2
from tests.support.in_process import server_of
from tests.support.make_endless_package import make_endless
from tests.support.servers import ROOT, VAE, RunningServer, RunVae, StartServer, read_metrics, until, until_in_flight
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize("service", ["", "vae.v1.VaeService"])
def test_health_is_serving_once_it_says_so(server: RunningServer, service: str) -> None:
    with grpc.insecure_channel(server.target) as channel:
        reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
    assert reply.status == SERVING


def test_while_models_are_loaded_it_is_alive_and_not_ready(settings: Settings) -> None:
    async def ask(stub: health_pb2_grpc.HealthStub) -> dict[str, int]:
        names = ("", "vae.v1.VaeService", LIVENESS)
        return {name: (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status for name in names}

    async def run() -> None:
        server, _ = server_of(Models(), settings)
        async with server, grpc.aio.insecure_channel(server.address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            assert await ask(stub) == {"": NOT_SERVING, "vae.v1.VaeService": NOT_SERVING, LIVENESS: SERVING}
            assert not server.is_ready
            await server.ready()
            assert await ask(stub) == {"": SERVING, "vae.v1.VaeService": SERVING, LIVENESS: SERVING}
            assert server.is_ready

    asyncio.run(run())


def test_announces_what_it_serves_and_where(server: RunningServer) -> None:
    assert server.announcement.startswith(f"serving tiny version 1 on {server.target}, provider cpu, ")
    assert server.target.startswith("127.0.0.1:")


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_tells_the_contract(server: RunningServer, version: str) -> None:
    services = {"vae.v1.VaeService", "grpc.health.v1.Health", f"grpc.reflection.{version}.ServerReflection"}
    with grpc.insecure_channel(server.target) as channel:
        ask: grpc.StreamStreamMultiCallable[
            reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse
        ] = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        asked = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            *(reflection_pb2.ServerReflectionRequest(file_containing_symbol=service) for service in services),
        ]
        listed, *described = ask(iter(asked))
    assert services <= {service.name for service in listed.list_services_response.service}
    for answer in described:
        contents = answer.file_descriptor_response.file_descriptor_proto
        pool = DescriptorPool()
        for file in map(FileDescriptorProto.FromString, reversed(contents)):  # what a file imports comes after it
            pool.AddSerializedFile(file.SerializeToString())
            found = [f"{file.package}.{service.name}" for service in file.service]
        assert set(found) <= services
        assert found


def test_a_message_over_the_limit_is_grpcs_own_resource_exhausted(start_server: StartServer) -> None:
    server = start_server("--message-bytes", "65536")
    with grpc.insecure_channel(server.target) as channel:
        stub = VaeServiceStub(channel)
        assert stub.GetModel(pb.GetModelRequest()).model.limits.request_bytes == 65536
        with pytest.raises(grpc.RpcError) as refused:
            stub.Encode(pb.EncodeRequest(data=to_message(np.zeros((20_000, 4, 4, 1), np.uint8))))
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert stub.Sample(pb.SampleRequest(count=1)).data.shape[0] == 1
    log = server.stop()
    assert "ERROR" not in log
    assert "Traceback" not in log


def test_a_reply_is_never_too_long(start_server: StartServer) -> None:
    server = start_server("--message-bytes", "65536")
    with grpc.insecure_channel(server.target) as channel:
        stub = VaeServiceStub(channel)
        count = stub.GetModel(pb.GetModelRequest()).model.limits.call_rows
        sizes = [
            stub.Sample(pb.SampleRequest(count=count, output=output, include_latent=True)).ByteSize()
            for output in (pb.DECODE_OUTPUT_EXPECTATION, pb.DECODE_OUTPUT_PNG)
        ]
    assert 50_000 < max(sizes) <= 65536


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_calls_in_flight_finish(start_server: StartServer, port: str, number: signal.Signals) -> None:
    # The open Watch must not make it wait for the whole of the grace period.
    flags = ("--wait-milliseconds", "1000", "--batch-rows", "10000", "--grace-seconds", "100")
    server = start_server("--metrics-port", port, *flags)
    with grpc.insecure_channel(server.target) as channel, ThreadPoolExecutor(8) as pool:
        stub, health = VaeServiceStub(channel), health_pb2_grpc.HealthStub(channel)
        watched: list[int] = []
        watch = threading.Thread(target=_watch, args=(health, watched))
        watch.start()
        until(lambda: watched)
        calls = [pool.submit(stub.Sample, pb.SampleRequest(count=2, seed=i)) for i in range(8)]
        until_in_flight(port, 8)  # they wait for company for a second
        server.process.send_signal(number)
        assert [call.result(60).seed for call in calls] == list(range(8))
        watch.join(60)
    assert watched == [SERVING, NOT_SERVING]
    assert server.process.wait(60) == 0


def _watch(health: health_pb2_grpc.HealthStub, seen: list[int]) -> None:
    try:
        for reply in health.Watch(health_pb2.HealthCheckRequest()):
            seen.append(reply.status)
    except grpc.RpcError:
        return  # the server ended the stream when it stopped


def test_a_call_whose_request_is_still_on_its_way_is_answered(start_server: StartServer, port: str) -> None:
    server = start_server("--metrics-port", port, "--drain-seconds", "0", "--grace-seconds", "100")
    request = pb.SampleRequest(count=1, seed=7).SerializeToString()
    sent = b"\0" + len(request).to_bytes(4) + request
    with http2.connect(server) as connection:
        frames = http2.frames(connection)
        connection.sendall(http2.headers(1, b"/vae.v1.VaeService/Sample") + http2.frame(http2.DATA, sent[:6], stream=1))
        until(lambda: read_metrics(port)["vae_open_calls",] == 1)
        server.process.send_signal(signal.SIGTERM)
        assert any(kind == http2.GOAWAY for kind, _, _ in frames)
        # The calls of others were answered 50 ms later, and then it waits for the last answers to be sent.
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(2)
        connection.sendall(http2.frame(http2.DATA, sent[6:], http2.END_STREAM, 1))
        replies = [payload[5:] for kind, _, payload in frames if kind == http2.DATA]
    assert [pb.SampleResponse.FromString(reply).seed for reply in replies] == [7]
    assert server.process.wait(60) == 0


def test_calls_that_outlast_the_grace_are_cut_off(start_server: StartServer, port: str) -> None:
    flags = ("--wait-milliseconds", "1000", "--batch-rows", "10000", "--grace-seconds", "0.1")
    server = start_server("--metrics-port", port, *flags)
    with grpc.insecure_channel(server.target) as channel:
        call = VaeServiceStub(channel).Sample.future(pb.SampleRequest(count=2))
        until_in_flight(port, 1)
        server.stop()
        assert call.exception(60) is not None
        assert call.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def test_what_is_no_message_is_invalid_and_leaves_no_traceback(start_server: StartServer) -> None:
    server = start_server()
    with grpc.insecure_channel(server.target) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/vae.v1.VaeService/Sample")
        with pytest.raises(grpc.RpcError) as refused:
            call(b"\x58")
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "Traceback" not in server.stop()


def test_a_silent_connection_does_not_hold_up_the_stop(start_server: StartServer) -> None:
    server = start_server("--grace-seconds", "100")
    host, _, port = server.target.rpartition(":")
    with socket.create_connection((host, int(port))) as silent:
        silent.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        server.stop()


def test_a_signal_while_loading_ends_it(port: str, tmp_path: Path) -> None:
    package = make_endless(tmp_path / "package")
    command = [*VAE, "serve", str(package), "--port", port]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        check = health_pb2_grpc.HealthStub(channel).Check
        assert check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=60).status == NOT_SERVING
        process.send_signal(signal.SIGTERM)
        announced, _ = process.communicate(timeout=60)
    assert announced == ""
    assert process.returncode == 0


def test_a_taken_port_is_one_line(server: RunningServer, tiny: Path, vae: RunVae) -> None:
    port = server.target.rpartition(":")[2]
    ended = vae("serve", tiny, "--port", port)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert (
        ended.stderr.strip()
        == f"vae: cannot listen on 127.0.0.1:{port}: is the port taken, or the address not of this machine?"
    )


def test_a_damaged_package_is_one_line(tmp_path: Path, vae: RunVae) -> None:
    ended = vae("serve", tmp_path, "--port", "0")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "is not a model package: cannot read manifest.json" in ended.stderr


@pytest.mark.parametrize("flags", [("--port", "x"), ("--batch-rows", "-1"), ("--provider", "tpu")])
def test_a_wrong_setting_is_one_line(tiny: Path, vae: RunVae, flags: tuple[str, str]) -> None:
    ended = vae("serve", tiny, *flags)
    assert ended.returncode in (1, 2)
    assert len(ended.stderr.strip().splitlines()) == 1
    assert flags[0].removeprefix("--") in ended.stderr.replace("_", "-")


def test_no_package_is_a_wrong_call(vae: RunVae) -> None:
    ended = vae("serve")
    assert ended.returncode == 2
    assert ended.stderr == "vae: no PACKAGE, and VAE_PACKAGE is not set; `vae serve --help` lists the options\n"


def test_settings_are_read_from_the_environment(start_server: StartServer, port: str) -> None:
    server = start_server("--port", port, VAE_BATCH_ROWS="8", VAE_LOG_LEVEL="warning")
    with grpc.insecure_channel(server.target) as channel:
        assert VaeServiceStub(channel).GetModel(pb.GetModelRequest()).model.limits.batch_rows == 8
    assert server.stop() == ""


def test_health_verb_tells_ready_from_gone(server: RunningServer, vae: RunVae) -> None:
    ready = vae("health", "--target", server.target)
    assert (ready.returncode, ready.stdout) == (0, "SERVING\n")
    unknown = vae("health", "--service", "nobody", VAE_TARGET=server.target)
    assert (unknown.returncode, unknown.stdout) == (1, "NOT_FOUND\n")
    assert unknown.stderr == "vae: NOT_FOUND: service: the server does not report on a service 'nobody'\n"
    gone = vae("health", "--target", "127.0.0.1:1")
    assert (gone.returncode, gone.stdout) == (1, "UNAVAILABLE\n")
    assert "nothing listens at 127.0.0.1:1 (connection refused): is `vae serve` running there?" in gone.stderr
