"""The two formats of the log."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime

from tests.servers import ROOT, StartServer
from vae import Client

_SPEAK = """
import asyncio, logging
from serving.logs import set_up_logs
from serving.request_ids import identify
set_up_logs("info", {style!r})
log = logging.getLogger("some.module")
log.debug("unseen")
log.warning("of %s", "no call\\nand two lines \u2713")
async def call(sent):
    identify(sent)
    await asyncio.sleep(0)
    try:
        raise ValueError("why")
    except ValueError:
        log.exception("of a call")
async def calls():
    await asyncio.gather(call("one"), call("two"))
asyncio.run(calls())
log.error("explicit", extra=dict(request_id="mine"))
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
        "WARNING of no call",
        "ERROR   of a call [one]",
        "ERROR   of a call [two]",
        "ERROR   explicit [mine]",
    ]


_LEAVE = """
import logging
from grpc._cython import cygrpc
from serving.logs import set_up_logs
set_up_logs("debug", "text")
log = logging.getLogger("grpc._cython.cygrpc")
log.debug("a turn of the loop")
for error in (cygrpc.ExecuteBatchError("an answer"), ValueError("a bug")):
    try:
        raise error
    except Exception:
        log.exception("in a method")
"""


def test_callers_who_leave_during_an_answer_do_not_fill_the_log() -> None:
    said = subprocess.run([sys.executable, "-c", _LEAVE], check=True, capture_output=True, text=True, cwd=ROOT).stderr
    assert "a bug" in said
    assert "an answer" not in said
    assert "a turn" not in said


def test_a_server_logs_json_alone(start_server: StartServer) -> None:
    server = start_server("--log-format", "json", "--log-level", "debug")
    with Client(server.target) as client:
        client.sample(1)
    lines = [json.loads(line) for line in server.stop().splitlines()]
    [call] = [line for line in lines if line["message"].startswith("Sample OK")]
    assert call["logger"] == "serving.request_ids"
    assert lines[-1]["message"] == "stopped"


_FAIL = """
import asyncio
from serving.logs import set_up_logs
from serving.server import Server
from serving.servicer import VaeServicer
from serving.settings import read_settings
from vae import AsyncClient
from vae.errors import CallError

async def fail():
    async with Server(VaeServicer(None, None, 2**23, 2**28), read_settings(dict(package="x", port="0"))) as server:
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
    assert (line["level"], line["logger"]) == ("error", "serving.status")
    assert line["message"].startswith("ListModels failed: ")
    assert "AttributeError" in line["exception"]
    assert re.fullmatch("[0-9a-f]{16}", line["request_id"])
