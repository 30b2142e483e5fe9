"""A server on a Unix socket: who reaches it, and what stands in its way."""

import os
import socket
import stat
from pathlib import Path

import pytest

from tests.support.servers import RunVae, StartServer
from vaeserve import Client
from vaeserve.errors import CallError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vae.sock"


def test_clients_and_verbs_reach_a_socket(start_server: StartServer, vae: RunVae, path: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("token\n")
    server = start_server("--socket", str(path), "--token-file", str(tokens))
    assert server.target == f"unix:{path}"
    assert stat.S_ISSOCK(path.lstat().st_mode)
    with Client(server.target, token="token") as client:  # which stays on this machine, so it needs no TLS
        assert client.sample(2, seed=5).seed == 5
    with Client(server.target) as stranger, pytest.raises(CallError, match="UNAUTHENTICATED"):
        stranger.list_models()
    assert vae("health", "--target", server.target).stdout == "SERVING\n"
    assert "tiny" in vae("info", "--target", server.target, "--token-file", tokens).stdout
    out = tmp_path / "rows.npy"
    drawn = vae("sample", "--target", server.target, "--token-file", tokens, "--count", "2", "--out", out)
    assert (drawn.returncode, out.exists()) == (0, True)
    server.stop()


def test_only_a_socket_that_nobody_listens_on_is_taken(
    start_server: StartServer, vae: RunVae, tiny: Path, path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    server = start_server("--socket", str(path))
    ended = vae("serve", tiny, "--socket", path)
    assert ended.returncode == 1
    assert ended.stderr == f"vae: setting socket (VAE_SOCKET): {path} is taken: a server listens there\n"
    with Client(server.target) as client:
        assert client.sample(1, seed=5).seed == 5
    server.process.kill()  # leaves the socket behind
    server.process.wait()
    with Client(start_server("--socket", str(path)).target) as client:
        assert client.sample(1, seed=6).seed == 6


def test_what_cannot_be_a_socket_is_one_line(vae: RunVae, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    for path, said in (
        (tmp_path / "file", "exists, and is not a socket"),
        (tmp_path / ("x" * 200), "is longer than 107 bytes"),
        (tmp_path / "absent" / "vae.sock", "can its directory be written to?"),
    ):
        ended = vae("serve", tiny, "--socket", path)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert said in ended.stderr
        assert len(ended.stderr.splitlines()) == 1
    assert (tmp_path / "file").read_text() == "precious"


def test_the_umask_says_who_may_connect(start_server: StartServer, path: Path) -> None:
    before = os.umask(0o077)
    try:
        start_server("--socket", str(path))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0
