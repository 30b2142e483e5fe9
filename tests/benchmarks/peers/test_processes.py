import sys
from pathlib import Path

import pytest

from benchmarks.counters import free_port
from benchmarks.h2load import Request
from benchmarks.harness import Server
from benchmarks.peers.dialects import ask_http
from benchmarks.peers.environments import MissingPeer
from benchmarks.peers.processes import running
from tests.support.servers import until

ECHO = """
import subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Echo(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(404 if self.path == "/wrong" else 200)
        self.end_headers()
        self.wfile.write(body)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
"""
POST = Request("/", b"hello", (), 0)


def is_over(process: Path) -> bool:
    """Whether a process has ended, though nobody may have waited for it."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def ask(server: Server) -> bytes:
    return ask_http(server, POST)


def test_a_server_runs_from_its_first_answer_on_and_leaves_nothing_behind(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    with running([sys.executable, "-c", ECHO, str(port)], port, log, {}, ask) as server:
        assert ask(server) == b"hello"
        with pytest.raises(OSError, match="/wrong answered 404"):
            ask_http(server, POST._replace(path="/wrong"))
        child = Path("/proc", log.read_text().split()[0])
        assert child.exists()
    assert not Path("/proc", str(server.pid)).exists()
    until(lambda: is_over(child))


def test_a_server_that_ends_is_missing_and_its_last_line_says_why(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-c", "print('first'); raise SystemExit('no such library')"]
    with (
        pytest.raises(MissingPeer, match=r"^its server does not start: no such library$"),
        running(command, port, tmp_path / "log", {}, ask),
    ):
        raise AssertionError
