"""deploy/rollout.sh, with a `docker` that only keeps a log; `make image-test` rolls out real packages."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.servers import ROOT

_DOCKER = """#!/bin/sh
case "$*" in
*" ps "*" ${RUNNING:-serving}") echo container ;;
*" --since "*) awk -v since="$5" '$1 >= since { print substr($0, 12) }' "$LOG" ;;
*" logs "*) cut -c 12- "$LOG" ;;
*" run "*) echo "$(date +%s) $NEWS" >>"$LOG" ;;
esac
"""
_SERVED = "INFO    serving digits version 2, /models/live/digits-2"
_REFUSED = "ERROR   /models/live/digits-2 is not taken, what is served stays: wrong checksum"
_GONE = "INFO    no longer serving digits version 2, /models/live/digits-2"


def _roll_out(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "deploy" / "rollout.sh"), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | variables)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "usage: deploy/rollout.sh put RUN"),
        (["put", "../digits"], "RUN is the name of a directory in /models/runs, not '../digits'"),
        (["put", "a b"], "RUN is the name of a directory in /models/runs, not 'a b'"),
    ],
)
def test_a_roll_out_says_what_it_wants(arguments: list[str], message: str) -> None:
    ended = _roll_out(*arguments)
    assert ended.returncode
    assert message in ended.stderr


@pytest.fixture
def docker(tmp_path: Path) -> dict[str, str]:
    """Variables with which `docker` is ours. A container that runs logs what NEWS says."""
    (tmp_path / "docker").write_text(_DOCKER)
    (tmp_path / "docker").chmod(0o755)
    (tmp_path / "log").touch()
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(tmp_path / "log")}


@pytest.mark.parametrize(
    ("verb", "news"),
    [
        ("put", _SERVED),
        ("put", '{"level": "info", "message": "serving digits version 2, /models/live/digits-2"}'),
        ("again", _SERVED),
        ("back", _GONE),
    ],
)
def test_a_roll_out_ends_when_the_server_has_followed(docker: dict[str, str], verb: str, news: str) -> None:
    Path(docker["LOG"]).write_text(f"1000000000 {_SERVED}\n1000000001 {_REFUSED}\n")
    ended = _roll_out(verb, "digits-2", **docker, NEWS=news)
    assert (ended.returncode, ended.stdout) == (0, f"{news}\n"), ended.stderr


def test_a_roll_out_follows_the_service_that_is_named(docker: dict[str, str]) -> None:
    docker |= {"RUNNING": "serving-gpu", "NEWS": _SERVED}
    assert _roll_out("put", "digits-2", **docker, ROLLOUT_SERVICE="serving-gpu").returncode == 0
    ended = _roll_out("put", "digits-2", **docker)
    assert (ended.returncode, ended.stderr) == (
        1,
        "rollout: the service does not run: docker compose up --detach serving\n",
    )


def test_a_package_that_the_server_refuses_ends_it(docker: dict[str, str]) -> None:
    ended = _roll_out("put", "digits-2", **docker, NEWS=_REFUSED)
    assert (ended.returncode, ended.stderr) == (1, f"rollout: {_REFUSED}\n")


@pytest.mark.parametrize("words", [(), (_REFUSED,), (_SERVED, _GONE), (_SERVED, _GONE, _REFUSED)])
def test_a_package_that_is_not_served_is_taken_out_without_a_wait(docker: dict[str, str], words: tuple[str]) -> None:
    Path(docker["LOG"]).write_text("".join(f"1000000000 {word}\n" for word in words))
    ended = _roll_out("back", "digits-2", **docker, NEWS="nothing")
    assert (ended.returncode, ended.stdout) == (0, "/models/live/digits-2 was not served\n"), ended.stderr


@pytest.mark.parametrize(("run", "news"), [("digits-2", _SERVED + "0"), ("digits-2", "nothing"), ("digits.2", _SERVED)])
def test_the_news_of_another_package_is_not_waited_for(docker: dict[str, str], run: str, news: str) -> None:
    ended = _roll_out("put", run, **docker, NEWS=news, ROLLOUT_SECONDS="1")
    assert ended.returncode == 1
    assert "the server has not said" in ended.stderr


def test_what_the_log_said_before_does_not_count(docker: dict[str, str]) -> None:
    now = int(time.time())
    Path(docker["LOG"]).write_text(f"{now} {_SERVED}\n{now} {_GONE}\n")
    assert _roll_out("again", "digits-2", **docker, NEWS="nothing", ROLLOUT_SECONDS="1").returncode == 1
