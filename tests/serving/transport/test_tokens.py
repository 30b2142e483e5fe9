"""Bearer tokens: who may call, and what stays open to all."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from serving.transport.tokens import Tokens
from tests.support.servers import StartServer, until
from vaeserve import Client
from vaeserve.errors import CallError, StartupError, Unauthenticated


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text("# of the batch jobs\nfirst-token\n\n  second-token  \r\n")
    return path


@pytest.mark.parametrize("sent", ["Bearer first-token", "bearer second-token"])
def test_a_listed_token_passes(path: Path, sent: str) -> None:
    Tokens(path).check(sent)


@pytest.mark.parametrize(
    "sent",
    [None, "", "Bearer", "Bearer ", "first-token", "Basic first-token", "Bearer first", "Bearer #", "Bearer schlüssel"],
)
def test_anything_else_does_not(path: Path, sent: str | None) -> None:
    with pytest.raises(Unauthenticated, match="token") as refused:
        Tokens(path).check(sent)
    assert "first" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot read .*: No such file or directory"),
        (b"", "lists no token"),
        (b"\n# one day\n", "lists no token"),
        (b"fine\nse cret\n", "line 2: must be one word of visible ASCII"),
        (b"\xff\xfesecret", "line 1: must be one word of visible ASCII"),
    ],
)
def test_a_file_that_lists_no_tokens_is_refused(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    if content is not None:
        (tmp_path / "tokens").write_bytes(content)
    with pytest.raises(StartupError, match=rf"setting token_file \(VAE_TOKEN_FILE\): .*{complaint}") as refused:
        Tokens(tmp_path / "tokens")
    assert "cret" not in str(refused.value).replace(str(tmp_path), "")


def test_every_rpc_needs_a_token_but_health(start_server: StartServer, path: Path) -> None:
    server = start_server("--token-file", str(path), "--log-level", "debug")
    with grpc.insecure_channel(server.target) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert check.status == health_pb2.HealthCheckResponse.SERVING
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        assert _code_of(lambda: next(reflection.ServerReflectionInfo(asked))) == "UNAUTHENTICATED"
        for method in ("Sample", "NoSuchMethod"):
            unary: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/vae.v1.VaeService/{method}")
            assert _code_of(partial(unary, b"x" * 300_000)) == "UNAUTHENTICATED"
        stream: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream("/vae.v1.VaeService/CallStream")
        assert _code_of(lambda: next(stream(iter([b"", b""])))) == "UNAUTHENTICATED"
    with Client(server.target, token="second-token") as client:
        assert client.sample(1, seed=1).seed == 1
    for token in (None, "guessed-token"):
        with Client(server.target, token=token) as client, pytest.raises(CallError) as refused:
            client.list_models()
        assert refused.value.code == "UNAUTHENTICATED"
    log = server.stop()
    assert "refused /vae.v1.VaeService/ListModels" in log
    assert not any(token in log for token in ("first-token", "second-token", "guessed-token"))


def _code_of(call: Callable[[], object]) -> str:
    with pytest.raises(grpc.RpcError) as refused:
        call()
    code: grpc.StatusCode = refused.value.code()
    return code.name


def test_a_replaced_file_lets_others_pass(start_server: StartServer, path: Path) -> None:
    server = start_server("--token-file", str(path))
    with Client(server.target, token="new-token") as new, Client(server.target, token="first-token") as old:
        old.list_models()
        path.write_text("new-token\n")
        _wait_until_let_in(new)
        with pytest.raises(CallError, match="UNAUTHENTICATED"):
            old.list_models()


def _wait_until_let_in(client: Client) -> None:
    def is_let_in() -> bool:
        try:
            client.list_models()
        except CallError:
            return False
        return True

    until(is_let_in)
