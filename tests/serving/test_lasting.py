"""What runs as long as the process: where it fails it says so, and goes on or ends the process."""

import asyncio
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import urllib.request
from http import HTTPStatus
from pathlib import Path

import grpc
import pytest

from serving.batching.device import Device
from serving.models.registry import Models
from serving.models.reloading import Reloader
from serving.models.served import Served
from serving.settings import Settings
from serving.telemetry.http_port import HttpServer, Page
from tests.support.packages import publish
from tests.support.servers import ROOT, StartServer, until
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

_SABOTAGED = """
import {module} as module
async def end(self, *args):
    {deed}
module.{owner}.{method} = end
from vaeserve.command.cli import main
import sys
sys.argv = ["vae", "serve", "tests/data/tiny", "--port", "0", "--threads", "1", "--batch-rows", "8"]
main()
"""


@pytest.mark.parametrize("deed", ["raise RuntimeError('sabotaged')", "return"])
@pytest.mark.parametrize(
    ("module", "owner", "method", "told"),
    [
        ("serving.models.reloading", "Reloader", "run", "keeping up with packages ended"),
        ("serving.batching.batcher", "Batcher", "_work", "the batcher's worker died. This is a bug."),
        ("serving.transport.heap", "Heap", "keep_small", "keeping the memory small ended"),
    ],
)
def test_what_cannot_be_done_without_ends_the_process(
    module: str, owner: str, method: str, told: str, deed: str
) -> None:
    code = _SABOTAGED.format(module=module, owner=owner, method=method, deed=deed)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False, timeout=120
    )
    assert done.returncode == 1
    assert told in done.stderr
    assert ("RuntimeError: sabotaged" in done.stderr) == ("raise" in deed)
    assert done.stderr.endswith("vae: a task that must not end has ended, the log says why. This is a bug.\n")


_DEAF = """
from serving.transport import completions
class Deaf(completions.CompletionQueue):
    def poll(self, deadline=None):
        raise RuntimeError("sabotaged")
completions.CompletionQueue = Deaf
from vaeserve.command.cli import main
import sys
sys.argv = ["vae", "serve", "tests/data/tiny", "--port", "0", "--threads", "1", "--batch-rows", "8"]
main()
"""


def test_a_server_that_takes_no_calls_ends_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _DEAF], capture_output=True, text=True, cwd=ROOT, check=False, timeout=120
    )
    assert done.returncode == 1
    assert "gRPC hands over no more calls" in done.stderr
    assert "RuntimeError: sabotaged" in done.stderr


def test_the_thread_that_listens_for_http_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(HttpServer):
        failures = 0

        def serve_forever(self, poll_interval: float = 0.5) -> None:
            self.failures += 1
            if self.failures == 1:
                raise RuntimeError("sabotaged")
            super().serve_forever(poll_interval)

    server = Failing(socket.AF_INET, ("127.0.0.1", 0), {"/": lambda _: Page(HTTPStatus.OK, b"here")})
    threading.Thread(target=server.serve, daemon=True).start()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/", timeout=60) as response:
        assert response.read() == b"here"
    assert "listening for HTTP failed, trying again" in caplog.text
    assert "RuntimeError: sabotaged" in caplog.text


def test_a_model_that_does_not_close_is_told(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(self: Served) -> None:
        raise RuntimeError("sabotaged")

    async def run() -> None:
        publish(tmp_path / "a")
        reloader = Reloader(settings.model_copy(update={"package": tmp_path}), Models(), Device())
        await reloader.start()
        monkeypatch.setattr(Served, "close", fail)
        publish(tmp_path / "a")
        await reloader.catch_up()
        await asyncio.to_thread(until, lambda: caplog.records)

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    [line] = caplog.records
    assert line.getMessage() == "a model that is no longer served did not close. This is a bug."


def test_a_directory_that_is_no_utf8_and_links_without_end_do_not_stop_the_watch(
    start_server: StartServer, tmp_path: Path
) -> None:
    publish(tmp_path / "1")
    (tmp_path / "threads").symlink_to("/proc/self/task")
    server = start_server(package=tmp_path)
    (tmp_path / os.fsdecode(b"\xff")).mkdir()
    with grpc.insecure_channel(server.target) as channel:
        stub = VaeServiceStub(channel)
        for version in (2, 3):
            publish(tmp_path / str(version), version=version)
            until(lambda: stub.GetModel(pb.GetModelRequest(), timeout=60).model.version == version)  # noqa: B023
    log = server.stop()
    assert len(re.findall("threads is a link out of ", log)) == 1
    assert "Traceback" not in log
