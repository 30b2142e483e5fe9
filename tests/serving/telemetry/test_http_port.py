"""Pages over HTTP: which there are, what they tell, and that nobody can take them from others."""

import os
import signal
import socket
import urllib.error
import urllib.request
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.telemetry.http_port import Page, serve_http
from serving.transport.health import LIVENESS
from tests.support.packages import publish
from tests.support.servers import RunVae, StartServer, read_metrics

STATES = health_pb2.HealthCheckResponse


def _get(port: str, path: str, method: str = "GET") -> tuple[int, str]:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(asked, timeout=60) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_each_page_and_no_other(start_server: StartServer, port: str) -> None:
    start_server("--metrics-port", port)
    assert _get(port, "/healthz") == (200, "alive\n")
    assert _get(port, "/readyz?verbose") == (200, "ready\n")
    assert _get(port, "/readyz", "HEAD") == (200, "")
    status, metrics = _get(port, "/metrics")
    assert status == 200
    assert metrics.startswith("# HELP vae_call_seconds Duration of calls that have ended.\n")
    for path in ("/", "/metrics/", "/health", "/readyz/x"):
        assert _get(port, path) == (404, "no such page; there are /metrics, /healthz, /readyz\n")
    assert _get(port, "/metrics", "POST")[0] == 501


def test_who_asks_for_openmetrics_gets_it(start_server: StartServer, port: str) -> None:
    start_server("--metrics-port", port)
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/metrics", headers={"Accept": "application/openmetrics-text"}
    )
    with urllib.request.urlopen(asked, timeout=60) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=")
        assert response.read().endswith(b"# EOF\n")


def test_while_it_drains_it_is_alive_and_not_ready(start_server: StartServer, port: str, vae: RunVae) -> None:
    server = start_server("--metrics-port", port, "--drain-seconds", "3600")
    target = server.target
    with grpc.insecure_channel(target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == STATES.SERVING
        server.process.send_signal(signal.SIGTERM)
        assert next(watch).status == STATES.NOT_SERVING
        for service, status in (("vae.v1.VaeService", STATES.NOT_SERVING), (LIVENESS, STATES.SERVING)):
            assert stub.Check(health_pb2.HealthCheckRequest(service=service)).status == status
        watch.cancel()
    assert _get(port, "/readyz") == (503, "not ready\n")
    assert _get(port, "/healthz") == (200, "alive\n")
    assert [vae("health", "--target", target, *flags).stdout for flags in ([], ["--liveness"])] == [
        "NOT_SERVING\n",
        "SERVING\n",
    ]
    assert vae("health", "--target", target, "--liveness").returncode == 0
    server.stop()  # a second signal ends it at once


def _threads(process: int) -> int:
    return len(list(Path(f"/proc/{process}/task").iterdir()))


def test_silent_connections_keep_nobody_out_and_cost_few_threads(start_server: StartServer, port: str) -> None:
    server = start_server("--metrics-port", port)
    before = _threads(server.process.pid)
    with ExitStack() as silent:
        for _ in range(300):
            silent.enter_context(socket.create_connection(("127.0.0.1", int(port)), timeout=60))
        assert _get(port, "/readyz") == (200, "ready\n")
        assert _threads(server.process.pid) <= before + 20


def test_a_page_that_fails_is_told_and_others_are_answered(caplog: pytest.LogCaptureFixture) -> None:
    def fail(accept: str) -> Page:
        raise RuntimeError("broken")

    address = serve_http("127.0.0.1", 0, {"/bad": fail, "/good": lambda _: Page(HTTPStatus.OK, b"well")})
    port = address.rpartition(":")[2]
    assert _get(port, "/bad") == (500, "internal error\n")
    assert _get(port, "/good") == (200, "well")
    assert "answering /bad failed. This is a bug." in caplog.text


def test_an_address_of_ipv6() -> None:
    address = serve_http("::1", 0, {"/": lambda _: Page(HTTPStatus.OK, b"six")})
    assert address.startswith("[::1]:")
    with urllib.request.urlopen(f"http://{address}/", timeout=60) as response:
        assert response.read() == b"six"


def test_a_directory_whose_name_is_no_utf8_spoils_no_metric(
    start_server: StartServer, port: str, tmp_path: Path
) -> None:
    publish(tmp_path / "good")
    strange = tmp_path / os.fsdecode(b"\xff")
    strange.mkdir()
    (strange / "manifest.json").write_text("{")
    start_server("--metrics-port", port, package=tmp_path)
    assert read_metrics(port)["vae_reloads_total", "\\udcff", "failed"] == 1
