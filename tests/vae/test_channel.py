from pathlib import Path

import pytest

from vae import AsyncClient, Client
from vae.channel import connection, is_loopback
from vae.errors import InvalidInput


@pytest.mark.parametrize(
    "target",
    [
        "localhost:50051",
        "LOCALHOST:50051",
        "localhost",
        "127.0.0.1:50051",
        "127.8.9.10:1",
        "[::1]:50051",
        "dns:///localhost:1",
        "dns:localhost:1",
        "ipv4:127.0.0.1:1,127.0.0.2:2",
        "ipv6:[::1]:1",
        "unix:/run/vae.sock",
        "unix:///run/vae.sock",
        "unix-abstract:vae",
    ],
)
def test_this_machine(target: str) -> None:
    assert is_loopback(target)
    assert connection(target, token="t").metadata == (("authorization", "Bearer t"),)
    assert ("grpc.enable_http_proxy", 0) in connection(target).options


@pytest.mark.parametrize(
    "target",
    [
        "models.example:443",
        "10.0.0.1:1",
        "[2001:db8::1]:1",
        "localhost.example:1",
        "127.0.0.1.example:1",
        "dns:///models.example:443",
        "dns://8.8.8.8/localhost:1",
        "dns:///models.example/localhost:1",
        "ipv4:127.0.0.1:1,10.0.0.1:2",
        "xds:///localhost",
        "user@localhost:1",
        "0.0.0.0:1",
    ],
)
def test_elsewhere(target: str) -> None:
    assert not is_loopback(target)
    with pytest.raises(InvalidInput, match="token: would travel unencrypted"):
        connection(target, token="t")
    assert connection(target, token="t", tls=True).credentials is not None
    assert connection(target).credentials is None


@pytest.mark.parametrize("make", [Client, AsyncClient])
def test_refused_when_the_client_is_made(make: type[Client] | type[AsyncClient], tmp_path: Path) -> None:
    for target in ("", "http://localhost:50051", "https://models.example"):
        with pytest.raises(InvalidInput, match="without a scheme"):
            make(target)
    with pytest.raises(InvalidInput, match=r"root_certificates: cannot read .*absent\.pem: No such file"):
        make("localhost:1", root_certificates=tmp_path / "absent.pem")
    (tmp_path / "other.pem").write_text("no certificate")
    with pytest.raises(InvalidInput, match=r"root_certificates: .*other\.pem is no PEM file"):
        make("localhost:1", root_certificates=tmp_path / "other.pem")
    with pytest.raises(InvalidInput, match="client_certificate: needs client_key"):
        make("localhost:1", client_key="key.pem")
    for seconds in (0, float("inf"), "soon"):
        with pytest.raises(InvalidInput, match="timeout_seconds"):
            make("localhost:1", timeout_seconds=seconds)  # type: ignore[arg-type]
    for text in (b"localhost:1", "\ud800:1"):
        with pytest.raises(InvalidInput, match="target: is "):
            make(text)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="token: must be one word"):
        make("localhost:1", token=b"secret")  # type: ignore[arg-type]


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "schlüssel"])
def test_tokens_that_no_header_can_hold(token: str) -> None:
    with pytest.raises(InvalidInput, match="token: must be one word") as err:
        connection("localhost:1", token=token)
    assert not token or token not in str(err.value)
