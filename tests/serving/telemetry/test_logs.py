"""The two formats of the log."""

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest

from tests.support.servers import ROOT, VAE, RunVae, StartServer, until
from vaeserve import Client
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

_SPEAK = """
import asyncio, logging
from serving.telemetry.logs import set_up_logs
from serving.transport.request_ids import RequestId, as_request
set_up_logs("info", {style!r})
log = logging.getLogger("some.module")
log.debug("unseen")
log.warning("of %s", "no call\\nand two lines \u2713")
async def call():
    await asyncio.sleep(0)
    try:
        raise ValueError("why")
    except ValueError:
        log.exception("of a call")
async def calls():
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(as_request(RequestId(sent), lambda: loop.create_task(call())) for sent in ("one", "two")))
asyncio.run(calls())
log.error("explicit", extra=dict(request_id=RequestId("mine")))
"""


def _speak(style: str) -> str:
    command = [sys.executable, "-c", _SPEAK.format(style=style)]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stderr


def test_json_is_one_object_a_line() -> None:
    outside, one, two, explicit = map(json.loads, _speak("json").splitlines())
    assert outside.keys() == {"time", "level", "logger", "message"}
    assert (outside["level"], outside["logger"]) == ("warning", "some.module")
    assert outside["message"] == "of no call\nand two lines \u2713"
    assert outside["time"].endswith("Z")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(outside["time"])).total_seconds()) < 3600
    assert [line["request_id"] for line in (one, two, explicit)] == ["one", "two", "mine"]
    assert one["exception"].startswith("Traceback")
    assert one["exception"].endswith("ValueError: why")


def test_text_ends_with_the_id() -> None:
    lines = [line for line in _speak("text").splitlines() if re.match(r"\d\d:\d\d:\d\d ", line)]
    assert [line[9:] for line in lines] == [
        "WARNING of no call\\nand two lines \u2713",
        "ERROR   of a call [one]",
        "ERROR   of a call [two]",
        "ERROR   explicit [mine]",
    ]


_NO_TEXT = """
import logging
from serving.telemetry.logs import set_up_logs
set_up_logs("debug", "text")
log = logging.getLogger("grpc._cython.cygrpc")
for error in (UnicodeDecodeError("utf-8", b"secret", 0, 1, "no text"), ValueError("a bug")):
    try:
        raise error
    except Exception:
        log.exception("in a method")
"""


def test_metadata_that_is_no_text_does_not_fill_the_log() -> None:
    said = subprocess.run([sys.executable, "-c", _NO_TEXT], check=True, capture_output=True, text=True, cwd=ROOT).stderr
    assert "a bug" in said
    assert "secret" not in said
    assert "no text" not in said


def test_a_server_logs_json_alone(start_server: StartServer) -> None:
    server = start_server("--log-format", "json", "--log-level", "debug")
    with Client(server.target) as client:
        client.sample(1)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with grpc.insecure_channel(server.target) as channel:
        for sent in (parent, parent.upper()):
            VaeServiceStub(channel).ListModels(pb.ListModelsRequest(), metadata=(("traceparent", sent),))
    lines = [json.loads(line) for line in server.stop().splitlines()]
    [call] = [line for line in lines if line["message"].startswith("Sample OK")]
    assert call["logger"] == "serving.transport.answering"
    assert "trace_id" not in call
    traced, bad = [line for line in lines if line["message"].startswith("ListModels OK")]
    assert (traced["trace_id"], traced["span_id"]) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    assert not {"trace_id", "span_id"} & bad.keys()
    ready = json.loads(server.announcement)
    assert ready["message"].startswith(f"serving tiny version 1 on {server.target}, provider cpu, ")
    assert (ready["level"], ready["logger"]) == ("info", "serving.app")
    assert lines[-1]["message"] == "stopped"


_FAIL = """
import asyncio
from serving.telemetry.logs import set_up_logs
from serving.settings import read_settings
from tests.support.in_process import server_of
from vaeserve import AsyncClient
from vaeserve.errors import CallError

async def fail():
    server, _ = server_of(None, read_settings(dict(package="x")))
    async with server:
        async with AsyncClient(server.address) as client:
            try:
                await client.list_models()
            except CallError as error:
                print(error)
set_up_logs("info", "json")
asyncio.run(fail())
"""


def test_a_bug_is_logged_with_its_traceback_and_the_id() -> None:
    failed = subprocess.run([sys.executable, "-c", _FAIL], check=True, capture_output=True, text=True, cwd=ROOT)
    assert failed.stdout == "INTERNAL: internal error\n"
    [line] = map(json.loads, failed.stderr.splitlines())
    assert (line["level"], line["logger"]) == ("error", "serving.transport.status")
    assert line["message"].startswith("ListModels failed: ")
    assert "AttributeError" in line["exception"]
    assert re.fullmatch("[0-9a-f]{16}", line["request_id"])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["none"], 1, "none is not a directory$"),
        (["tests/data/tiny", "--port", "70000"], 1, r"setting port \(VAE_PORT\): input should be less than or equal"),
        (
            ["tests/data/tiny", "--prot", "1"],
            2,
            r"no such option: --prot \(did you mean --port\?\); `vae serve --help` lists",
        ),
        ([], 2, "no PACKAGE, and VAE_PACKAGE is not set; `vae serve --help` lists the options$"),
    ],
)
@pytest.mark.parametrize("by_flag", [True, False])
def test_what_ends_it_is_json_too(vae: RunVae, arguments: list[str], code: int, said: str, by_flag: bool) -> None:
    flags, variables = (["--log-format=json"], {}) if by_flag else ([], {"VAE_LOG_FORMAT": "json"})
    done = vae("serve", *arguments, *flags, **variables)
    [line] = map(json.loads, done.stderr.splitlines())
    assert (done.returncode, done.stdout, line["level"], line["logger"]) == (code, "", "critical", "serving.cli")
    assert re.search(said, line["message"], re.IGNORECASE)
    assert not line["message"].startswith("vae:")


def test_misspelt_variables_are_told_by_a_server(start_server: StartServer) -> None:
    server = start_server("--log-format", "json", VAE_BACTH_ROWS="1")
    [warning] = [line for line in map(json.loads, server.stop().splitlines()) if line["level"] == "warning"]
    assert warning["message"] == "VAE_BACTH_ROWS is not a setting, and is ignored; did you mean VAE_BATCH_ROWS?"


def test_a_full_standard_output_stops_no_server(port: str) -> None:
    command = [*VAE, "serve", "tests/data/tiny", "--port", "0", "--metrics-port", port]
    flags = ["--threads", "1", "--batch-rows", "8"]
    with (
        Path("/dev/full").open("w") as full,
        subprocess.Popen([*command, *flags], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT) as server,
    ):
        try:
            until(lambda: _is_ready(port) or server.poll() is not None)
            assert server.poll() is None
            server.send_signal(signal.SIGTERM)
            log = server.communicate(timeout=60)[1]
        finally:
            server.kill()
    assert server.returncode == 0, log
    assert "WARNING cannot write to the standard output: No space left on device\n" in log
    assert "Traceback" not in log


def _is_ready(port: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=60) as response:
            return bool(response.status == 200)
    except urllib.error.URLError:  # not ready, or not there yet
        return False


_FLOOD = """
import logging
from serving.telemetry.logs import set_up_logs
set_up_logs("info", {style!r})
for number in range(200):
    try:
        raise ValueError("a caller's \\x1b[2J\\rforged")
    except ValueError:
        logging.getLogger("serving.transport.status").exception("Sample failed: \\n12:00:00 ERROR   forged %d", number)
    logging.getLogger("serving.models.reloading").error("package %d is not taken", number)
"""


@pytest.mark.parametrize("style", ["text", "json"])
def test_callers_can_neither_fill_nor_forge_the_log(style: str) -> None:
    command = [sys.executable, "-c", _FLOOD.format(style=style)]
    log = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stderr
    assert log.count("Sample failed") == 10
    assert log.count("left out") == 1
    assert log.count("is not taken") == 200, "what the operator caused is told in full"
    assert "\x1b" not in log
    assert "\r" not in log
    assert not re.search(r"^12:00:00 ERROR   forged", log, re.MULTILINE)
