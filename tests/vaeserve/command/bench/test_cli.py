import json
import os
import re
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest

from tests.support.servers import ROOT, VAE, RunningServer, StartServer, until
from vaeserve.command.cli import run

if TYPE_CHECKING:
    from tests.vaeserve.conftest import Server

Streams = pytest.CaptureFixture[str]

StartBench = Callable[..., subprocess.Popen[str]]

SHORT = ["--duration", "0.3", "--warmup", "0.1"]


def bench(target: str, *arguments: str | Path) -> list[str]:
    return ["bench", "--target", target, *SHORT, *map(str, arguments)]


def measured(capsys: Streams, target: str, *arguments: str | Path) -> dict[str, Any]:
    """Runs a bench in which something is answered, and returns what it says."""
    assert run(bench(target, "--json", *arguments)) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    return said


@pytest.fixture
def start_bench() -> Iterator[StartBench]:
    """Starts a bench in a process of its own; one that still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start_one(target: str, *arguments: str) -> subprocess.Popen[str]:
        command = [*VAE, *bench(target, *arguments)]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT))
        return started[-1]

    yield start_one
    for process in started:
        with process:
            process.kill()


def test_closed_loop(real_server: RunningServer, capsys: Streams) -> None:
    said = measured(
        capsys, real_server.target, "--rows", "1,7", "--concurrency", "3", "--processes", "2", "--warmup", "0"
    )
    assert [(point["rows"], point["callers"]) for point in said["points"]] == [(1, 3), (7, 3)]
    assert (said["model"]["name"], said["model"]["version"], said["model"]["provider"]) == ("tiny", 1, "cpu")
    assert said["settings"]["loop"] == "closed"
    assert said["interrupted"] is False
    for point in said["points"]:
        assert point["seconds"] == pytest.approx(0.3)
        assert point["answered"] == point["calls"] > 0
        assert point["errors"] == {}
        assert point["rows_per_second"] == pytest.approx(point["rows"] * point["calls_per_second"])
        spread = point["latency_milliseconds"]
        assert 0 < spread["p50"] <= spread["p90"] <= spread["p99"] <= spread["p99_9"] <= spread["max"]
        assert point["batch_rows"]["mean"] >= point["rows"]
        assert point["running_milliseconds"]["mean"] > 0
        assert point["generator_share"] > 0


def test_rows_of_a_file(server: "Server", tmp_path: Path, capsys: Streams) -> None:
    np.save(tmp_path / "x.npy", np.full((3, 8, 8, 1), 16))
    measured(capsys, server.target, "--rpc", "encode", "--input", tmp_path / "x.npy", "--rows", "2")
    assert server.script.requests("Encode")[0].data.data == bytes([16]) * 128  # type: ignore[attr-defined]


def test_open_loop(server: "Server", capsys: Streams) -> None:
    load = ("--rate", "50,100", "--arrivals", "constant", "--outstanding", "7", "--processes", "2")
    said = measured(capsys, server.target, "--rows", "5", *load)
    assert said["settings"]["loop"] == "open"
    for point, calls in zip(said["points"], (15, 30), strict=True):
        assert (point["rate"], point["arrivals"], point["outstanding"]) == (calls / 0.3, "constant", 7)
        assert abs(point["calls"] + point["unsent"] - calls) <= 1


def test_table(real_server: RunningServer, capsys: Streams) -> None:
    assert run(bench(real_server.target, "--rows", "1,64", "--concurrency", "2", "--deadline", "0.5")) == 0
    said = capsys.readouterr()
    assert said.err == "", "no bar where stdout is no terminal"
    heading, settings, _, groups, titles, one, many, _, *notes = said.out.splitlines()
    assert heading == f"tiny, version 1, on cpu at {real_server.target}"
    assert settings == "sample: 0.3 s per line after 0.1 s of warm-up; in time means within 500 ms"
    assert "latency, milliseconds" in groups
    assert [line.split()[:2] for line in (titles, one, many)] == [["rows", "callers"], ["1", "2"], ["64", "2"]]
    assert len(one) == len(many) == len(titles) < 120
    assert re.fullmatch(r"each worker process took [0-9]+( to [0-9]+)? % of a core", notes[-1])


def test_nothing_answered_is_a_failure(server: "Server", capsys: Streams) -> None:
    server.script.before = [server.refuse(grpc.StatusCode.UNAVAILABLE, "busy")] * 1000
    assert run(bench(server.target, "--rows", "1", "--concurrency", "2")) == 1
    line, _, *notes = capsys.readouterr().out.splitlines()[5:]
    assert line.split()[2:11] == ["0", "0", "0", *"-----", line.split()[10]]
    assert notes[0].startswith("rows 1, callers 2: failed with UNAVAILABLE ")


def test_a_server_that_dies_is_counted(start_server: StartServer, start_bench: StartBench) -> None:
    running = start_server()
    process = start_bench(running.target, "--rows", "1,1", "--concurrency", "2", "--warmup", "0", "--duration", "2")
    assert process.stdout is not None
    for _ in range(6):  # the last one is the first line of the table
        process.stdout.readline()
    running.process.kill()
    said, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert re.search(r"^rows 1, callers 2: failed with UNAVAILABLE \d+$", said, re.MULTILINE)


def test_an_interrupt_keeps_what_was_measured(server: "Server", start_bench: StartBench) -> None:
    load = ("--rows", "1,2", "--concurrency", "2", "--processes", "2", "--duration", "60", "--warmup", "0")
    process = start_bench(server.target, *load)
    while len(server.script.requests("Sample")) < 20:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    line, _, *_, interrupted = said.splitlines()[5:]
    assert line.split()[:2] == ["1", "2"]
    assert re.fullmatch(r"interrupted: the last line covers \d\.\d s", interrupted)


def test_a_process_that_died_is_one_line(real_server: RunningServer, start_bench: StartBench) -> None:
    process = start_bench(real_server.target, "--rows", "1", "--concurrency", "2", "--duration", "60")
    assert process.stdout is not None
    for _ in range(5):
        process.stdout.readline()
    until(lambda: _senders(process.pid))
    (sender,) = _senders(process.pid)
    os.kill(sender, signal.SIGKILL)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (1, "vae: a worker process died\n")


def _senders(bench: int) -> list[int]:
    """Returns the processes that send calls; one that has only just been forked still has its parent's command."""
    children = Path(f"/proc/{bench}/task/{bench}/children").read_text().split()
    return [int(pid) for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]


def test_unreachable_server(capsys: Streams) -> None:
    assert run(bench("127.0.0.1:1", "--timeout", "0.5")) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("vae: ")
    assert "127.0.0.1:1" in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "absent"], "NOT_FOUND: model 'absent' is not served here; tiny version 1 is"),
        (["--rows", "1,999999"], "rows: is 999,999, the server takes at most 16,384 per call"),
        (["--rpc", "decode", "--input", "absent.npy"], "absent.npy: cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_measured(real_server: RunningServer, capsys: Streams, arguments: list[str], said: str) -> None:
    assert run(bench(real_server.target, *arguments)) == 1
    assert capsys.readouterr() == ("", f"vae: {said}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rows", "0"],
        ["--rows", "1,,2"],
        ["--concurrency", "many"],
        ["--concurrency", "1", "--rate", "1"],
        ["--rate", "-1"],
        ["--rate", "nan"],
        ["--duration", "0"],
        ["--warmup", "-1"],
        ["--seed", "-1"],
        ["--processes", "65"],
        ["--arrivals", "constant"],
        ["--outstanding", "9"],
        ["--input", "x.npy"],
        ["--rpc", "train"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: Streams) -> None:
    assert run(bench("127.0.0.1:1", *arguments)) == 2
    said = capsys.readouterr().err
    assert said.endswith("; `vae bench --help` lists the options\n")
    assert said.count("\n") == 1


def test_nothing_is_sent_without_a_target(capsys: Streams) -> None:
    assert run(["bench"]) == 2
    assert "--target" in capsys.readouterr().err


def test_a_bar_on_a_terminal(real_server: RunningServer) -> None:
    command = [*VAE, *bench(real_server.target, "--rows", "1", "--concurrency", "1")]
    leader, follower = os.openpty()
    termios.tcsetwinsize(follower, (40, 120))
    done = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, cwd=ROOT)
    os.close(follower)
    shown = b""
    while done.poll() is None or shown[-1:] != b"\n":
        try:
            shown += os.read(leader, 4096)
        except OSError:
            break
    os.close(leader)
    assert done.wait() == 0
    assert b"rows 1, callers 1 |" in shown
    assert shown.rstrip().endswith(b"of a core")
