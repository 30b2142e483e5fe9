"""docker-compose.yml, its variables and its overlays. Nothing is built or started here; `make image-test` does that."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.settings import Settings
from tests.support.servers import ROOT
from vaeserve.command.cli import VERBS

_COMPOSE = ROOT / "docker-compose.yml"
_OVERLAYS = sorted((ROOT / "deploy" / "compose").glob("*.yml"))
_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return dict(yaml.safe_load(_COMPOSE.read_text())["services"])


def test_every_service_is_locked_down(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}, name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} listens for everyone"


def test_only_training_and_serving_start_by_themselves(services: dict[str, Any]) -> None:
    profiles = {name: service.get("profiles", []) for name, service in services.items()}
    assert profiles == {
        "training": [],
        "serving": [],
        "serving-gpu": ["gpu"],
        "job": ["batch"],
        "prometheus": ["monitoring"],
        "grafana": ["monitoring"],
    }


def test_every_file_that_a_service_names_is_there(services: dict[str, Any]) -> None:
    volumes = yaml.safe_load(_COMPOSE.read_text())["volumes"]
    for name, service in services.items():
        if "build" in service:
            dockerfile = (ROOT / service["build"]["dockerfile"]).read_text()
            target = service["build"].get("target")
            assert target is None or f" AS {target}\n" in dockerfile, name
        for volume in service.get("volumes", []):
            source = _VARIABLE.sub(lambda found: found[3], volume).partition(":")[0]
            assert source in volumes or (ROOT / source).exists(), f"{name}: {source}"


def test_the_service_stops_within_its_time(services: dict[str, Any]) -> None:
    defaults = {name: field.get_default() for name, field in Settings.model_fields.items()}
    stop_seconds = float(services["serving"]["stop_grace_period"].removesuffix("s"))
    assert defaults["drain_seconds"] + defaults["grace_seconds"] < stop_seconds


def test_settings_are_settings(services: dict[str, Any]) -> None:
    names = {f"VAE_{name.upper()}" for name in Settings.model_fields}
    for path in (_COMPOSE, *_OVERLAYS):
        for service in yaml.safe_load(path.read_text())["services"].values():
            assert {name for name in service.get("environment", {}) if name.startswith("VAE_")} <= names


def test_with_tls_every_service_that_serves_has_it(services: dict[str, Any]) -> None:
    secure = yaml.safe_load((ROOT / "deploy" / "compose" / "secure.yml").read_text())["services"]
    assert set(secure) == {
        name for name, service in services.items() if "VAE_PACKAGE" in service.get("environment", {})
    }
    for service in secure.values():
        assert set(service["secrets"]) == {"tls_certificate", "tls_key", "tokens"}


def test_the_example_has_every_variable_with_its_default() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    variables = {found[1]: found[3] for found in _VARIABLE.finditer(_COMPOSE.read_text())}
    assert example == variables


def test_the_job_fills_the_volume_once_and_runs_what_it_is_given(services: dict[str, Any], tmp_path: Path) -> None:
    assert VERBS.keys() >= {"train", "export", "job"}
    live = services["serving"]["environment"]["VAE_PACKAGE"]
    assert live == "${VAESERVE_PACKAGE:-/models/live}"
    assert not Path("/models").exists(), "this machine has what only a container has"
    train, export = _commands(services["training"], tmp_path)
    assert train == ["train", "digits", "--out", "/models/runs/digits", "--resume"]
    assert export == ["export", train[3], "--out", "/models/live/digits", "--version", "next"]
    # `docker compose run training ...` puts a command of its own behind the entrypoint
    own = ["train", "my rows.npy", "--out", "/models/mine"]
    assert list(_commands(services["training"], tmp_path, *own)) == [own]


def _commands(service: dict[str, Any], directory: Path, *command: str) -> Iterator[list[str]]:
    """Yields the arguments of each `vae` that a service's entrypoint runs."""
    (directory / "vae").write_text('#!/bin/sh\nprintf "%s\\n" "$@"; echo --end--\n')
    (directory / "vae").chmod(0o755)
    entrypoint = [part.replace("$$", "$") for part in service["entrypoint"]]
    environment = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}
    ended = subprocess.run([*entrypoint, *command], check=True, capture_output=True, text=True, env=environment)
    for arguments in ended.stdout.split("--end--\n")[:-1]:
        yield arguments.splitlines()


@pytest.mark.parametrize("overlay", [None, *_OVERLAYS], ids=lambda path: path.name if path else "alone")
def test_compose_understands_the_files(services: dict[str, Any], overlay: Path | None) -> None:
    _needs_compose()
    files = ["--file", str(_COMPOSE), *(["--file", str(overlay)] if overlay else [])]
    required = {found[1]: "./given" for found in _VARIABLE.finditer(overlay.read_text() if overlay else "")}
    ended = _compose(*files, "--profile", "*", "config", "--format", "json", **required)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["services"].keys() == services.keys()


def test_a_secret_that_is_not_named_is_asked_for() -> None:
    _needs_compose()
    ended = _compose("--file", str(_COMPOSE), "--file", str(ROOT / "deploy/compose/secure.yml"), "config", "--quiet")
    assert ended.returncode != 0
    assert "VAESERVE_TLS_" in ended.stderr or "VAESERVE_TOKENS" in ended.stderr


def _needs_compose() -> None:
    if (
        not shutil.which("docker")
        or subprocess.run(["docker", "compose", "version"], check=False, capture_output=True).returncode
    ):
        pytest.skip("Docker Compose is not installed")


def _compose(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COMPOSE_DISABLE_ENV_FILE": "1", **variables}
    command = ["docker", "compose", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
