import os
import sys
from pathlib import Path

import pytest

from benchmarks.h2load import Request, grpc_request, repeat, send
from benchmarks.harness import Server

SERVER = Server("127.0.0.1:1", os.getpid(), "")
REPLY = b"ten bytes."
PROGRAM = f"""#!{sys.executable}
import sys
from pathlib import Path
words = sys.argv[1:]
value = lambda flag: words[words.index(flag) + 1]
Path("seen").write_text("\\n".join([*words, Path(value("-d")).read_bytes().hex()]))
calls = int(value("-n"))
Path(value("--log-file")).write_text("1\\t200\\t1500\\n" * calls)
print(f"finished in 1s, {{calls}}.00 req/s, 1KB/s\\ntraffic: 1KB (1) total, 1B (1) headers, 1B ({{10 * calls}}) data")
"""
POST = Request("/inference", b"rows", ("--h1",), 0)


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the place of h2load, to which every reply has ten bytes; the file with what it was told."""
    program = tmp_path / "h2load"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "seen"


def test_a_grpc_call_travels_in_a_frame(seen: Path) -> None:
    replies = send(SERVER.target, grpc_request("/a.B/C", b"ab"), 6, 3)
    *words, body = seen.read_text().splitlines()
    assert body == "00" + "00000002" + b"ab".hex()
    assert words[-1] == "http://127.0.0.1:1/a.B/C"
    assert "content-type: application/grpc" in words
    assert replies == (6.0, 60, [1.5] * 6)


def test_an_http_request_travels_as_it_is_and_callers_may_have_a_connection_each(seen: Path) -> None:
    load = repeat(SERVER, POST, lambda: REPLY, callers=8, seconds=0.1, connections=8)
    *words, body = seen.read_text().splitlines()
    assert bytes.fromhex(body) == b"rows"
    assert "--h1" in words
    assert "content-type: application/grpc" not in words
    assert words[words.index("-c") + 1] == "8"
    assert words[words.index("-m") + 1] == "1"
    assert load.p50_milliseconds == 1.5


@pytest.mark.usefixtures("seen")
def test_replies_that_are_too_short_end_it() -> None:
    with pytest.raises(SystemExit, match="some were not answered"):
        repeat(SERVER, POST, lambda: REPLY + b"!", callers=1, seconds=0.1)
    with pytest.raises(SystemExit, match="some were not answered"):
        repeat(SERVER, grpc_request("/a.B/C", b""), lambda: REPLY, callers=1, seconds=0.1)


@pytest.mark.usefixtures("seen")
def test_an_answer_that_is_another_one_afterwards_ends_it() -> None:
    answers = iter((REPLY, b"10 bytes.."))
    with pytest.raises(SystemExit, match="/inference: the answer changed under load"):
        repeat(SERVER, POST, lambda: next(answers), callers=1, seconds=0.1)
