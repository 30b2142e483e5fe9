"""The service of docker-compose.yml: verbs from outside and from a container, kills, stops and roll-outs under load."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import trustme
from numpy.typing import NDArray

from tests.support.containers import Deployment, detached, docker, inspect
from tests.support.load import Load
from tests.support.servers import ROOT, until
from vaeserve import Client
from vaeserve.errors import CallError

_ROWS, _BATCH = 20_000, 200


def _batches() -> Iterator[NDArray[np.uint8]]:
    for seed in range(_ROWS // _BATCH):
        yield np.random.default_rng(seed).integers(0, 17, (_BATCH, 8, 8, 1)).astype(np.uint8)


def test_verbs_from_outside(deployment: Deployment) -> None:
    with Client(deployment.target) as client:
        assert client.get_model().name == "digits"
        drawn = client.sample(70, seed=7)
        latent = client.encode(drawn.output)
        assert client.decode(latent).output.shape == drawn.output.shape
        elbo = client.reconstruct(drawn.output).elbo
        assert elbo is not None
        assert np.isfinite(elbo).all()
        assert sum(len(part.output) for part in client.sample_stream(500, seed=1)) == 500


def test_verbs_from_a_container(deployment: Deployment) -> None:
    target = "--target serving:50051"
    command = (
        f"vae info {target} && vae sample --count 3 --seed 7 {target} --out /tmp/x.npy"
        f" && vae encode --input /tmp/x.npy {target} --out /tmp/z.npz"
        f" && vae decode --input /tmp/z.npz {target} --out /tmp/y.npz"
        f" && vae reconstruct --input /tmp/x.npy {target} --out /tmp/r.npz"
    )
    network = f"{deployment.environment['COMPOSE_PROJECT_NAME']}_default"
    image = f"vaeserve-jobs:{deployment.environment['VAESERVE_TAG']}"
    options = ("--network", network, "--tmpfs", "/tmp", "--entrypoint", "sh")
    ended = docker("run", "--rm", *options, image, "-c", command)
    assert "digits" in ended.stdout


def test_a_kill_in_mid_load_loses_no_row(deployment: Deployment, figures: list[str]) -> None:
    with Client(deployment.target) as client:
        expected = [client.encode(batch).latent for batch in _batches()]
        began = inspect(deployment.container("serving"))["State"]["StartedAt"]
        answers = []
        for place, answer in enumerate(client.encode_stream(_batches())):
            answers.append(answer.latent)
            if place == 20:
                _kill(deployment)
    np.testing.assert_array_equal(np.concatenate(answers), np.concatenate(expected))
    assert inspect(deployment.container("serving"))["State"]["StartedAt"] != began
    deployment.until_healthy("serving")
    figures.append(f"server killed in a stream of {_ROWS} rows: every row came, each with the right bytes")


def _kill(deployment: Deployment) -> None:
    """Kills the service's process. The engine takes `docker kill` for a wish to stop, and would not restart it."""
    container = deployment.container("serving")
    if os.geteuid() == 0:
        os.kill(inspect(container)["State"]["Pid"], signal.SIGKILL)
    else:
        docker("kill", container)
        docker("start", container)


def test_a_stop_under_load_answers_what_it_took(deployment: Deployment, figures: list[str]) -> None:
    container = deployment.container("serving")
    with Load(deployment.target) as load:
        docker("stop", container)
    state = inspect(container)["State"]
    deployment.compose("up", "--detach", "--wait", "serving")
    assert state["ExitCode"] == 0
    # A server that stops may answer CANCELLED to a call that it has not begun.
    assert set(load.codes) <= {"OK", "UNAVAILABLE", "CANCELLED"}, "a call that was taken was not answered"
    figures.append(f"SIGTERM under load: exit 0, {load.codes['OK']} calls answered, none that was begun lost")


def test_a_roll_out_and_its_way_back_fail_no_call(deployment: Deployment, figures: list[str]) -> None:
    deployment.run("training", "train", "digits", "--seed", "5", "--out", "/models/runs/digits-2")
    with Client(deployment.target) as client:
        first = client.get_model().fingerprint
    with Load(deployment.target) as load:
        printed = deployment.roll_out("put", "digits-2")
        assert "serving digits version 2, /models/live/digits-2" in printed
        [second] = {_current(deployment)} - {first}
        until(lambda: load.fingerprints[second] > 20)
        deployment.roll_out("back", "digits-2")
        assert _current(deployment) == first
        deployment.roll_out("again", "digits-2")
        assert _current(deployment) == second
        deployment.roll_out("back", "digits-2")
    assert load.failed == 0, load.codes
    assert set(load.fingerprints) == {first, second}
    figures.append(f"put, back, again, back under load: 0 of {load.codes.total()} calls failed")


def _current(deployment: Deployment) -> str:
    with Client(deployment.target) as client:
        return client.get_model().fingerprint


_CALLS = """
import sys
from vaeserve import Client
with Client("dns:///serving:50051") as client:
    for seed in range(3000):
        assert len(client.sample(1, seed=seed).output) == 1
        print(seed, flush=True)
"""
_ANSWERED = (
    "import urllib.request as r; t = r.urlopen('http://127.0.0.1:9464/metrics').read().decode();"
    "lines = [l for l in t.splitlines() if l.startswith('vae_call_seconds_count') and 'Sample' in l];"
    "print(sum(float(l.split()[-1]) for l in lines))"
)


def test_a_name_of_two_servers_spreads_calls_and_outlives_one(deployment: Deployment, figures: list[str]) -> None:
    project, tag = deployment.environment["COMPOSE_PROJECT_NAME"], deployment.environment["VAESERVE_TAG"]
    network = ("--network", f"{project}_default")
    volume = ("--volume", f"{project}_models:/models:ro", "--env", "VAE_PACKAGE=/models/live")
    with detached(*network, "--network-alias", "serving", *volume, f"vaeserve:{tag}") as other:
        until(lambda: inspect(other)["State"]["Health"]["Status"] == "healthy")
        callers = ("--entrypoint", "python3", f"vaeserve-jobs:{tag}", "-c", _CALLS)
        with detached(*network, *callers) as caller:
            until(lambda: len(docker("logs", caller).stdout.splitlines()) > 500)
            answered = [
                docker("exec", one, "python3", "-c", _ANSWERED) for one in (other, deployment.container("serving"))
            ]
            docker("kill", other)
            until(lambda: inspect(caller)["State"]["Status"] == "exited")
            assert inspect(caller)["State"]["ExitCode"] == 0, docker("logs", caller).stderr
    assert all(float(one.stdout) > 100 for one in answered)
    figures.append("one name, two servers, one of them killed: 0 of 3,000 calls failed")


def test_tls_and_tokens_come_from_files(deployment: Deployment, tmp_path: Path) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    files = {"VAESERVE_TLS_CERTIFICATE": tmp_path / "certificate.pem", "VAESERVE_TLS_KEY": tmp_path / "key.pem"}
    leaf.cert_chain_pems[0].write_to_path(str(files["VAESERVE_TLS_CERTIFICATE"]))
    leaf.private_key_pem.write_to_path(str(files["VAESERVE_TLS_KEY"]))
    files["VAESERVE_TOKENS"] = tmp_path / "tokens"
    files["VAESERVE_TOKENS"].write_text("secret-of-the-test\n")
    for path in (tmp_path, *files.values()):
        path.chmod(0o755)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    before = dict(deployment.environment)
    overlay = str(ROOT / "deploy" / "compose" / "secure.yml")
    try:
        deployment.environment |= {name: str(path) for name, path in files.items()}
        deployment.environment["COMPOSE_FILE"] += os.pathsep + overlay
        deployment.compose("up", "--detach", "--wait", "serving")
        trusted = tmp_path / "ca.pem"
        with Client(deployment.target, token="secret-of-the-test", root_certificates=trusted) as client:
            assert client.get_model().name == "digits"
        with Client(deployment.target, root_certificates=trusted) as client, pytest.raises(CallError, match="token"):
            client.get_model()
    finally:
        deployment.environment.clear()
        deployment.environment |= before
        deployment.compose("up", "--detach", "--wait", "serving")
