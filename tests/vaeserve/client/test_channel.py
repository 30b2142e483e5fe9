import pickle
from pathlib import Path

import grpc
import pytest

from vaeserve import AsyncClient, Client
from vaeserve.addresses import is_loopback
from vaeserve.client.channel import connection
from vaeserve.client.failures import StreamFailure, call_error
from vaeserve.client.targets import proxy_variable
from vaeserve.errors import InvalidInput


@pytest.mark.parametrize(
    "target",
    [
        "localhost:50051",
        "LOCALHOST:50051",
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


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "[::1]"])
def test_a_host_alone_can_be_this_machine_too(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("models.example", "is 'models.example', which has no port: must be HOST:PORT"),
        ("dns:///models.example", "which has no port"),
        ("[::1]", "which has no port"),
        (":50051", "which has no port"),
        ("::1", r"an IPv6 address needs brackets, \[::1\]:PORT"),
        ("ipv4:127.0.0.1:1,10.0.0.1", "which has no port"),
        ("localhost:", "the port must be a number from 1 to 65535"),
        ("localhost:http", "the port must be a number"),
        ("localhost:99999", "the port must be a number"),
        ("localhost:" + "9" * 5000, "the port must be a number"),
    ],
)
@pytest.mark.parametrize("make", [Client, AsyncClient])
def test_a_target_names_its_port(make: type[Client] | type[AsyncClient], target: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=f"^target: .*{said}"):
        make(target)


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "target", "through"),
    [
        ({"http_proxy": "http://proxy:3128"}, "models.example:443", "http_proxy"),
        ({"http_proxy": "http://proxy:3128"}, "dns:///models.example:443", "http_proxy"),
        ({"http_proxy": "p:1", "https_proxy": "p:2", "grpc_proxy": "p:3"}, "models.example:443", "grpc_proxy"),
        ({"http_proxy": "p:1", "no_proxy": "other.example"}, "models.example:443", "http_proxy"),
        ({"http_proxy": "p:1", "no_proxy": "other.example, .example"}, "models.example:443", None),
        ({"http_proxy": "p:1", "no_grpc_proxy": "models.example"}, "models.example:443", None),
        ({"http_proxy": "p:1"}, "127.0.0.1:50051", None),
        ({"http_proxy": "p:1"}, "unix:/run/vae.sock", None),
        ({"http_proxy": "p:1"}, "ipv4:10.0.0.1:443", "http_proxy"),
        ({"http_proxy": "p:1", "no_proxy": "10.0.0.0/8"}, "10.0.0.1:443", None),
        ({"http_proxy": "p:1", "no_proxy": "10.0.0.0/8"}, "11.0.0.1:443", "http_proxy"),
        ({"http_proxy": ""}, "models.example:443", None),
        ({}, "models.example:443", None),
    ],
)
def test_a_proxy_on_the_way_is_told(
    no_proxies: pytest.MonkeyPatch, variables: dict[str, str], target: str, through: str | None
) -> None:
    for name, value in variables.items():
        no_proxies.setenv(name, value)
    assert proxy_variable(target) == through
    told = f" through {through}" if through else ""
    unavailable = StreamFailure(grpc.StatusCode.UNAVAILABLE, "Connection refused")
    late = StreamFailure(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
    assert f"UNAVAILABLE: {target} cannot be reached{told} or takes no calls" in str(call_error(unavailable, target, 1))
    assert f"no answer from {target}{told} within 1 s" in str(call_error(late, target, 1))


@pytest.mark.parametrize("make", [Client, AsyncClient])
def test_refused_when_the_client_is_made(make: type[Client] | type[AsyncClient], tmp_path: Path) -> None:
    for target in ("", "http://localhost:50051", "https://models.example"):
        with pytest.raises(InvalidInput, match="without a scheme"):
            make(target)
    with pytest.raises(InvalidInput, match=r"root_certificates: cannot read .*absent\.pem: No such file"):
        make("localhost:1", root_certificates=tmp_path / "absent.pem")
    (tmp_path / "other.pem").write_text("no certificate")
    with pytest.raises(InvalidInput, match=r"root_certificates: .*other\.pem is not a PEM file"):
        make("localhost:1", root_certificates=tmp_path / "other.pem")
    with pytest.raises(InvalidInput, match="client_certificate: must be given together with client_key"):
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


@pytest.mark.parametrize("make", [Client, AsyncClient])
def test_a_pickled_client_is_still_for_bulk_work(make: type[Client] | type[AsyncClient]) -> None:
    client = make("127.0.0.1:1", token="secret", bulk=True)
    again = pickle.loads(pickle.dumps(client))
    assert again.connection.metadata == client.connection.metadata
    assert ("vae-class", "bulk") in again.connection.metadata
