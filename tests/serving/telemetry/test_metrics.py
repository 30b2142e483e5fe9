"""What Prometheus is told, by a real server after real calls."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from shutil import copytree, rmtree
from urllib.error import URLError

import grpc
import numpy as np
import pytest
from google.rpc.error_details_pb2 import ErrorInfo

from tests.support.servers import RunVae, StartServer, read_metrics, status_of, until, until_in_flight
from vaeserve import Client
from vaeserve.errors import CallError
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

# Row by row, so many rows take seconds on any machine.
MANY_ROWS = 500_000
SLOW = ("--batch-rows", "1", "--executors", "1", "--call-rows", str(MANY_ROWS), "--queue-rows", str(MANY_ROWS))


def test_calls_batches_and_models_are_counted(start_server: StartServer, port: str) -> None:
    server = start_server("--metrics-port", port, "--batch-rows", "8")
    with Client(server.target) as client:
        latent = client.encode(client.sample(20, seed=1).output)
        client.decode(latent)
        list(client.decode_stream([latent.latent] * 3))
        with pytest.raises(CallError):
            client.decode(latent.latent, fingerprint="another")
        fingerprint = client.get_model().fingerprint
    until_in_flight(port, 0)
    told = read_metrics(port)
    assert told["vae_call_seconds_count", "OK", "Sample", "unary"] == 1
    assert told["vae_call_seconds_count", "OK", "Decode", "unary"] == 1
    assert told["vae_call_seconds_count", "OK", "Decode", "stream"] == 3
    assert told["vae_call_seconds_count", "FAILED_PRECONDITION", "Decode", "unary"] == 1
    decoder = ("decoder", "tiny", "1")
    assert told["vae_batch_rows_sum", *decoder] == 20 + 20 + 60
    assert told["vae_batch_rows_bucket", "decoder", "8.0", "tiny", "1"] == told["vae_batch_rows_count", *decoder]
    assert told["vae_queued_seconds_count", "interactive", "encoder", "tiny", "1"] == 1
    assert told["vae_queued_seconds_count", "interactive", *decoder] == 2
    assert told["vae_queued_seconds_count", "bulk", *decoder] == 3
    assert told["vae_running_seconds_count", *decoder] == told["vae_batch_rows_count", *decoder]
    for name in ("wasted_rows_total", "non_finite_rows_total", "failed_batches_total"):
        assert told[f"vae_{name}", *decoder] == 0
    assert told["vae_queue_rows", *decoder] == 0
    assert (told["vae_reloads_total", "tiny", "ok"], told["vae_reloads_total", "tiny", "failed"]) == (1, 0)
    assert (told["vae_refused_packages",], told["vae_ready",], told["vae_open_calls",]) == (0, 1, 0)
    assert 0 < told["vae_loop_turn_seconds",] < 60
    assert [fingerprint in key for key in told if key[0] == "vae_model_info"] == [True]
    assert told["process_resident_memory_bytes",] > 1e6


def test_rows_of_a_caller_who_left_are_counted(start_server: StartServer, port: str) -> None:
    server = start_server("--metrics-port", port, *SLOW)
    decoder = ("decoder", "tiny", "1")

    def rows() -> tuple[float, float]:
        told = read_metrics(port)
        dropped = told["vae_dropped_rows_total", "decoder", "tiny", "cancelled", "1"]
        return told["vae_batch_rows_sum", *decoder], dropped

    with grpc.insecure_channel(server.target) as channel:
        call = VaeServiceStub(channel).Sample.future(pb.SampleRequest(count=MANY_ROWS, seed=1))
        until(lambda: rows()[0] > 0)
        call.cancel()
    until(lambda: sum(rows()) >= MANY_ROWS - 1)  # the batch that ran may have been interrupted
    assert rows()[1] > 0


def test_calls_that_cannot_be_in_time_are_counted(start_server: StartServer, port: str) -> None:
    server = start_server("--metrics-port", port, *SLOW)
    with grpc.insecure_channel(server.target) as channel:
        stub = VaeServiceStub(channel)
        stub.Sample(pb.SampleRequest(count=1, seed=1))
        with pytest.raises(grpc.RpcError, match="an answer may take") as refused:
            stub.Sample(pb.SampleRequest(count=MANY_ROWS, seed=1), timeout=0.5)
    reason = ErrorInfo()
    assert status_of(refused.value).details[0].Unpack(reason)
    assert reason.reason == "DEADLINE_UNREACHABLE"
    assert read_metrics(port)["vae_refused_calls_total", "decoder", "tiny", "deadline", "1"] == 1


def test_a_server_that_waits_for_a_good_package(
    start_server: StartServer, port: str, tiny: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "manifest.json").write_text("{}")
    flags = ("--metrics-port", port, "--wait-for-package")
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(start_server, *flags, package=tmp_path)
        until(lambda: _metrics_of_a_starting_server(port).get(("vae_refused_packages",)) == 1)
        assert read_metrics(port)["vae_ready",] == 0
        copytree(tiny, tmp_path / ".good")
        (tmp_path / ".good").rename(tmp_path / "good")
        started.result()
    until(lambda: read_metrics(port)["vae_ready",])
    told = read_metrics(port)
    assert (told["vae_refused_packages",], told["vae_reloads_total", "bad", "failed"]) == (1, 1)
    rmtree(bad)
    until(lambda: read_metrics(port)["vae_refused_packages",] == 0)


def _metrics_of_a_starting_server(port: str) -> dict[tuple[str, ...], float]:
    with suppress(URLError):
        return read_metrics(port)
    return {}


def test_a_stream_is_an_open_call(start_server: StartServer, port: str) -> None:
    server = start_server("--metrics-port", port)
    with grpc.insecure_channel(server.target) as channel:
        requests: SimpleQueue[pb.CallStreamRequest | None] = SimpleQueue()
        replies = VaeServiceStub(channel).CallStream(iter(requests.get, None))
        until(lambda: read_metrics(port)["vae_open_calls",] == 1)
        assert read_metrics(port)["vae_calls_in_flight",] == 0
        requests.put(None)
        assert list(replies) == []
    until(lambda: read_metrics(port)["vae_open_calls",] == 0)


def test_a_port_that_is_taken(vae: RunVae, start_server: StartServer, port: str) -> None:
    start_server("--metrics-port", port)
    done = vae("serve", "tests/data/tiny", "--port", "0", "--metrics-port", port)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"cannot listen for metrics on 127.0.0.1:{port}" in done.stderr


def test_a_sample_stream_counts_message_by_message(start_server: StartServer, port: str) -> None:
    server = start_server("--metrics-port", port)
    with grpc.insecure_channel(server.target) as channel:
        stream = VaeServiceStub(channel).SampleStream  # a client leaves once it has its rows, and may leave too soon
        request = pb.SampleRequest(count=50)
        assert len(list(stream(pb.SampleStreamRequest(request=request, message_rows=10)))) == 5
        with pytest.raises(grpc.RpcError):
            list(stream(pb.SampleStreamRequest(request=request, message_rows=20_000)))
    told = read_metrics(port)
    assert told["vae_call_seconds_count", "OK", "Sample", "stream"] == 5
    assert [key for key in told if key[:3:2] == ("vae_call_seconds_count", "Sample")] == [
        ("vae_call_seconds_count", "OK", "Sample", "stream")
    ]


def test_a_stream_that_is_left_counts_as_cancelled(start_server: StartServer, port: str) -> None:
    flags = ("--metrics-port", port, "--wait-milliseconds", "1000", "--batch-rows", "100")
    server = start_server(*flags)
    with Client(server.target) as client:
        latent = np.zeros((1, 3), np.float32)
        with ThreadPoolExecutor(1) as pool:
            job = pool.submit(list, client.decode_stream([latent, latent]))
            until_in_flight(port, 2)
            client.close()
            with pytest.raises(CallError):
                job.result()
    left = ("vae_call_seconds_count", "CANCELLED", "Decode", "stream")
    until(lambda: read_metrics(port).get(left) == 2)


def test_calls_that_are_not_admitted_are_counted(start_server: StartServer, port: str, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("good\n")
    server = start_server("--metrics-port", port, "--token-file", str(tmp_path / "tokens"))
    with Client(server.target, token="bad") as client, pytest.raises(CallError):
        client.get_model()
    assert read_metrics(port)["vae_admission_refused_calls_total", "UNAUTHENTICATED"] == 1
