"""Real servers, told by OpenTelemetry's variables where their spans go; and what they say where that fails."""

import json
import socket
import subprocess
import sys

import pytest

from serving.tracing.starting import start_spans
from tests.support.collector import collecting
from tests.support.servers import ROOT, VAE, StartServer
from vaeserve import Client, __version__
from vaeserve.errors import StartupError


def test_without_its_variables_there_are_no_spans_and_opentelemetry_is_not_imported() -> None:
    asks = "from serving.tracing.starting import start_spans; import serving.app, sys; print(start_spans({}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{asks}; print([name for name in sys.modules if 'opentelemetry' in name])"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stdout == "None\n[]\n"


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_TRACES_EXPORTER": ""},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1"},
        {"OTEL_SDK_DISABLED": "True", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://localhost:1"},
        {"OTEL_SERVICE_NAME": "vae"},
    ],
)
def test_variables_that_ask_for_none(variables: dict[str, str]) -> None:
    assert start_spans(variables) is None


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"OTEL_TRACES_EXPORTER": "console, parrot"}, "parrot"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/parrot"}, "http/parrot"),
    ],
)
def test_an_exporter_that_is_not_there_is_named(variables: dict[str, str], name: str) -> None:
    with pytest.raises(StartupError, match=f"^OTEL_TRACES_EXPORTER: no exporter of the name {name} is installed$"):
        start_spans(variables)


def test_without_the_extra_a_server_says_so_and_serves(caplog: pytest.LogCaptureFixture) -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None; from serving.telemetry.logs import set_up_logs;"
        "from serving.tracing.starting import start_spans; set_up_logs('info', 'json');"
        "print(start_spans({'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://localhost:1'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "None\n"
    assert json.loads(done.stderr)["message"].startswith(
        "no spans are made: OTEL_EXPORTER_OTLP_ENDPOINT is set, but the extra otel is not installed ("
    )


def test_an_exporter_that_is_not_there_ends_the_server_with_one_line(start_server: StartServer) -> None:
    command = [*VAE, "serve", "tests/data/tiny", "--port", "0"]
    environment = {"OTEL_TRACES_EXPORTER": "parrot", "PATH": ""}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert (done.returncode, done.stderr) == (
        1,
        "vae: OTEL_TRACES_EXPORTER: no exporter of the name parrot is installed\n",
    )


@pytest.mark.parametrize(("set_name", "name"), [({}, "vaeserve"), ({"OTEL_SERVICE_NAME": "digits"}, "digits")])
def test_a_server_exports_its_spans_until_its_end(
    start_server: StartServer, set_name: dict[str, str], name: str
) -> None:
    with collecting() as collector:
        endpoint = f"http://127.0.0.1:{collector.port}"
        server = start_server("--log-format", "json", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **set_name)
        with Client(server.target) as client:
            client.sample(3)
        log = [json.loads(line) for line in server.stop().splitlines()]
    assert sorted(span.name for span in collector.spans) == [
        "batch", "queue", "run", "vae.v1.VaeService/GetModel", "vae.v1.VaeService/Sample",
    ]  # fmt: skip
    call = next(span for span in collector.spans if span.name.endswith("Sample"))
    assert {span.parent_span_id for span in collector.spans if span.trace_id == call.trace_id} == {"", call.span_id}
    assert {(one["service.name"], one["service.version"]) for one in collector.resources} == {(name, __version__)}
    assert [line["message"] for line in log if "span" in line["message"]] == ["spans are exported by otlp_proto_grpc"]


def test_a_server_whose_collector_hangs_serves_and_does_not_wait_for_it(start_server: StartServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        server = start_server(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_BSP_SCHEDULE_DELAY="1")
        with Client(server.target) as client:
            for _ in range(20):
                client.sample(1)
        *_, warning, stopped = server.stop().splitlines()
    assert warning[9:] == "WARNING the last spans were not exported within 2 s"
    assert stopped.endswith(" stopped")
