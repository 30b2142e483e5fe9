"""TLS and mutual TLS, against real servers with certificates made here."""

import socket
import ssl
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from serving.settings import read_settings
from serving.transport.credentials import server_credentials
from tests.support.servers import RunVae, StartServer
from vaeserve import Client
from vaeserve.errors import StartupError


class Files(NamedTuple):
    """Where the PEM files lie."""

    authority: Path
    certificate: Path
    key: Path

    @property
    def tls(self) -> tuple[str, ...]:
        return ("--tls-certificate", str(self.certificate), "--tls-key", str(self.key))

    @property
    def mutual_tls(self) -> tuple[str, ...]:
        return (*self.tls, "--tls-client-authorities", str(self.authority))


def _issue(authority: trustme.CA, directory: Path) -> Files:
    directory.mkdir(exist_ok=True)
    files = Files(directory / "authority.pem", directory / "certificate.pem", directory / "key.pem")
    issued = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(files.authority)
    issued.cert_chain_pems[0].write_to_path(files.certificate)
    issued.private_key_pem.write_to_path(files.key)
    return files


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> Files:
    return _issue(authority, tmp_path / "server")


def test_tls_is_spoken_and_plaintext_refused(start_server: StartServer, files: Files, vae: RunVae) -> None:
    target = start_server(*files.tls).target
    with Client(target, root_certificates=files.authority) as client:
        assert client.sample(2, seed=1).seed == 1
    health = vae("health", "--target", target, "--root-certificates", files.authority)
    assert (health.returncode, health.stdout) == (0, "SERVING\n")
    plain = vae("health", "--target", target, "--timeout", "1")
    assert plain.returncode == 1
    assert plain.stdout in ("UNAVAILABLE\n", "DEADLINE_EXCEEDED\n")  # it tries again until then


def test_mutual_tls_asks_for_a_certificate(
    start_server: StartServer, authority: trustme.CA, files: Files, tmp_path: Path, vae: RunVae
) -> None:
    target = start_server(*files.mutual_tls).target
    mine = _issue(authority, tmp_path / "client")
    strangers = _issue(trustme.CA(), tmp_path / "stranger")
    showing = ["--client-certificate", mine.certificate, "--client-key", mine.key]
    asked = ["--target", target, "--root-certificates", files.authority, "--timeout", "60"]
    assert vae("info", *asked, *showing).stdout.startswith("tiny, version 1")
    assert vae("health", *asked, *showing).stdout == "SERVING\n"
    strange = ["--client-certificate", strangers.certificate, "--client-key", strangers.key]
    assert vae("health", *asked, *strange).stdout == "UNAVAILABLE\n"
    assert vae("health", *asked).stdout == "UNAVAILABLE\n"


def test_a_replaced_certificate_is_shown_to_the_next_connection(
    start_server: StartServer, authority: trustme.CA, files: Files, tmp_path: Path
) -> None:
    server = start_server(*files.tls)
    first = _shown(server.target, files.authority)
    with Client(server.target, root_certificates=files.authority) as client:
        client.list_models()
        for old, new in zip(files, _issue(authority, tmp_path / "renewed"), strict=True):
            new.replace(old)
        renewed = _shown(server.target, files.authority)
        files.key.write_text("broken")
        assert [_shown(server.target, files.authority) for _ in range(3)] == [renewed] * 3
        client.list_models()
    assert renewed != first
    log = server.stop()
    assert log.count("read the certificates again") == 1
    assert log.count("kept the old certificates: setting tls_key (VAE_TLS_KEY)") == 1
    assert len(log.splitlines()) == 5  # and one about the model, two about the stop


def _shown(target: str, authority: Path) -> bytes | None:
    """Returns the certificate that a new connection is shown."""
    context = ssl.create_default_context(cafile=authority)
    context.set_alpn_protocols(["h2"])
    host, _, port = target.rpartition(":")
    with (
        socket.create_connection((host, int(port))) as plain,
        context.wrap_socket(plain, server_hostname=host) as wrapped,
    ):
        return wrapped.getpeercert(binary_form=True)


@pytest.mark.parametrize(
    ("broken", "content", "complaint"),
    [
        ("certificate", None, r"tls_certificate \(VAE_TLS_CERTIFICATE\): cannot read .*: No such file"),
        ("key", None, r"tls_key \(VAE_TLS_KEY\): cannot read .*: No such file"),
        ("authority", None, r"tls_client_authorities \(VAE_TLS_CLIENT_AUTHORITIES\): cannot read .*: No such file"),
        ("certificate", "no PEM", r"tls_certificate .* holds no PEM certificate$"),
        ("key", "no PEM", r"tls_key .* holds no PEM key without a password"),
        ("key", "stranger", r"tls_key .*key\.pem is not the key of .*certificate\.pem$"),
        ("authority", "no PEM", r"tls_client_authorities .* holds no PEM certificate$"),
        ("authority", "", r"tls_client_authorities .* holds no PEM certificate$"),
    ],
)
def test_files_that_do_not_fit_name_their_setting(
    authority: trustme.CA, files: Files, broken: str, content: str | None, complaint: str
) -> None:
    path: Path = getattr(files, broken)
    path.unlink()
    if content == "stranger":
        authority.issue_cert("localhost").private_key_pem.write_to_path(path)
    elif content is not None:
        path.write_text(content)
    flags = {"tls_certificate": files.certificate, "tls_key": files.key, "tls_client_authorities": files.authority}
    settings = read_settings({"package": "x"} | {name: str(file) for name, file in flags.items()})
    with pytest.raises(StartupError, match=complaint) as refused:
        server_credentials(settings)
    assert "\n" not in str(refused.value)


def test_a_broken_certificate_ends_the_start_with_one_line(files: Files, tiny: Path, vae: RunVae) -> None:
    files.key.write_text("broken")
    ended = vae("serve", tiny, "--port", "0", *files.tls)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert len(ended.stderr.strip().splitlines()) == 1
    assert ended.stderr.startswith("vae: setting tls_key (VAE_TLS_KEY)")
