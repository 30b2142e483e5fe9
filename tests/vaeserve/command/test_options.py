from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.commands import Streams, refused
from vaeserve.command.cli import run

if TYPE_CHECKING:
    from tests.vaeserve.conftest import Server


def test_a_target_needs_a_port(tmp_path: Path, capsys: Streams) -> None:
    sample = ["sample", "--target", "nonsense", "--count", "1", "--out", str(tmp_path / "x.npy")]
    assert refused(sample, capsys) == "vae: target: is 'nonsense', which has no port: must be HOST:PORT"


def test_the_target_is_told_once_for_all_verbs(
    server: "Server", capsys: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_TARGET", server.target)
    assert run(["info"]) == 0
    assert f"served at {server.target}" in capsys.readouterr().out
    monkeypatch.setenv("VAE_TARGET", "nonsense")
    assert refused(["info"], capsys) == "vae: VAE_TARGET: is 'nonsense', which has no port: must be HOST:PORT"
    assert run(["info", "--target", server.target]) == 0
    monkeypatch.setenv("VAE_TARGET", "")
    assert run(["info", "--help"]) == 0
    assert "127.0.0.1:50051" in capsys.readouterr().out


@pytest.mark.parametrize("verb", [["info"], ["sample", "--count", "1"], ["bench"]])
def test_a_refused_connection_asks_whether_a_server_runs(
    verb: list[str], port: str, tmp_path: Path, capsys: Streams
) -> None:
    out = ["--out", str(tmp_path / "x.npy")] if verb[0] == "sample" else []
    said = f"nothing listens at 127.0.0.1:{port} (connection refused): is `vae serve` running there?"
    assert refused([*verb, *out, "--target", f"127.0.0.1:{port}"], capsys) == f"vae: UNAVAILABLE: {said}"


def test_token_comes_from_a_file(server: "Server", tmp_path: Path, capsys: Streams) -> None:
    (tmp_path / "token").write_text("secret\n")
    token = ["--token-file", str(tmp_path / "token")]
    info = ["info", "--target", server.target, *token]
    assert run(info) == 0
    assert server.script.received[0].metadata["authorization"] == "Bearer secret"
    capsys.readouterr()
    assert refused(["info", "--target", "models.example:443", *token], capsys).startswith(
        "vae: token: would travel unencrypted"
    )
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    assert refused(info, capsys).endswith("token: cannot be read: it is not text")
    (tmp_path / "token").unlink()
    assert refused(info, capsys).endswith("token: cannot be read: No such file or directory")


def test_a_client_certificate_needs_its_key(capsys: Streams) -> None:
    said = refused(["info", "--target", "localhost:1", "--client-certificate", "me.pem"], capsys)
    assert said.startswith("vae: client_certificate: must be given together with client_key")
