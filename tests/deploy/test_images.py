"""What the images are built from. Nothing is built here; `make image-test` does that."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from tests.deploy.test_requirements import EXTRAS
from tests.support.packages import publish
from tests.support.servers import ROOT, VAE
from vaeserve import __version__
from vaeserve.command.cli import VERBS

_OWN = {"vaeserve", "training", "serving", "jobs"}
_READY = ROOT / "deploy" / "ready.sh"
_DOCKERFILES = sorted({*(ROOT / "deploy").glob("*.Dockerfile")} - {ROOT / "deploy" / "package.Dockerfile"})
"""Those that are built from the repository."""
_VERBS = {
    "serving.Dockerfile cpu": {"serve"},
    "serving.Dockerfile cuda": {"serve"},
    "serving.Dockerfile jobs": {"job"},
    "training.Dockerfile": {"train"},
}
"""What each image runs without a command of its own."""


class _Stage(NamedTuple):
    """A stage of a Dockerfile, with all that it stands on."""

    lines: list[str]

    @property
    def copied(self) -> set[str]:
        """What it copies from the repository."""
        copies = [line.split()[1:-1] for line in self.lines if line.startswith("COPY ")]
        return {source for sources in copies for source in sources if not sources[0].startswith("--from")}

    @property
    def requirements(self) -> set[str]:
        """The locked requirements that it installs, by the name of their file."""
        return {name for line in self.lines for name in re.findall(r"install\.sh packages (\S+)", line)}


def _stages(path: Path) -> dict[str, _Stage]:
    """Returns the stages of a Dockerfile by name; the last one also by an empty name."""
    stages: dict[str, _Stage] = {}
    lines: list[str] = []
    for line in path.read_text().replace("\\\n", "").splitlines():
        if begin := re.fullmatch(r"FROM (\S+)(?: AS (\S+))?", line):
            lines = [*stages[begin[1]].lines] if begin[1] in stages else []
            stages[begin[2] or ""] = stages[""] = _Stage(lines)
        else:
            copied = re.match(r"COPY --from=(\S+)", line)
            lines += stages[copied[1]].lines if copied else [line]
    return stages


def _imports(package: str) -> set[str]:
    """Returns what of this project a package imports, inside functions too; not what it names for type checkers."""
    names = set()
    for path in (ROOT / package).rglob("*.py"):
        code = re.sub(r"^if TYPE_CHECKING:\n(    .*\n|\n)+", "", path.read_text(), flags=re.MULTILINE)
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module)
    return {name.partition(".")[0] for name in names} & _OWN


def _needed(verb: str) -> set[str]:
    """Returns the top-level packages that a verb can come to import."""
    needed: set[str] = set()
    new = {"vaeserve", VERBS[verb].module.partition(".")[0]}
    while new:
        needed |= new
        new = {name for package in new for name in _imports(package)} - needed
    return needed


@pytest.mark.parametrize("image", _VERBS)
def test_an_image_holds_what_its_verbs_need(image: str) -> None:
    name, _, target = image.partition(" ")
    stage = _stages(ROOT / "deploy" / name)[target]
    [*_, command] = [json.loads(line[4:]) for line in stage.lines if line.startswith("CMD ")]
    assert {command[0]} == _VERBS[image]
    assert _needed(command[0]) <= stage.copied
    [requirements] = stage.requirements
    extras = {extra.removesuffix("-gpu") for extra in EXTRAS[requirements]}
    assert set(filter(None, VERBS[command[0]].extra.split(","))) <= extras
    missing = {"pyproject.toml", "README.md", "LICENSE"} - stage.copied
    assert not missing, "the build reads these too"


@pytest.mark.parametrize("path", _DOCKERFILES, ids=lambda path: path.name)
def test_what_is_copied_is_there_and_not_ignored(path: Path) -> None:
    ignored, *kept = (ROOT / ".dockerignore").read_text().split()
    assert ignored == "*"
    for name in {name for stage in _stages(path).values() for name in stage.copied}:
        assert (ROOT / name).exists()
        assert f"!{name}" in kept


@pytest.mark.parametrize("path", _DOCKERFILES, ids=lambda path: path.name)
def test_an_image_runs_as_a_numbered_user_and_names_itself(path: Path) -> None:
    for name, stage in _stages(path).items():
        if any(line.startswith("CMD ") for line in stage.lines):
            assert "USER 10001:10001" in stage.lines, name
            labels = " ".join(line for line in stage.lines if line.startswith("LABEL "))
            assert {"title", "description", "version", "revision", "source", "licenses"} <= set(
                re.findall(r"org\.opencontainers\.image\.(\w+)=", labels)
            )
            assert f"ARG VERSION={__version__}" in stage.lines, name


@pytest.fixture
def tls(tmp_path: Path) -> dict[str, str]:
    """Settings of a service that asks callers for a certificate and a token."""
    authority = trustme.CA()
    leaf = authority.issue_cert("service.example")
    files = {name: tmp_path / name for name in ("tls_certificate", "tls_key", "tls_client_authorities", "token_file")}
    leaf.cert_chain_pems[0].write_to_path(str(files["tls_certificate"]))
    leaf.private_key_pem.write_to_path(str(files["tls_key"]))
    authority.cert_pem.write_to_path(str(files["tls_client_authorities"]))
    files["token_file"].write_text("secret\n")
    return {f"VAE_{name.upper()}": str(path) for name, path in files.items()}


@contextmanager
def _service(directory: Path, **settings: str) -> Iterator[Callable[[], None]]:
    """Starts a service without a package; yields what publishes one and waits until it is served."""
    environment = {**os.environ, "VAE_WAIT_FOR_PACKAGE": "true", "VAE_PACKAGE": str(directory), **settings}
    command = [*VAE, "serve"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stderr is not None
        lines = server.stdout
        assert lines is not None

        def publish_one() -> None:
            publish(directory / "package")
            assert "serving tiny" in next(lines)

        try:
            next(line for line in server.stderr if "waiting" in line)
            yield publish_one
        finally:
            server.kill()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "127.0.0.1"])
def test_the_health_check_asks_whether_the_service_is_ready(host: str, port: str, tmp_path: Path) -> None:
    settings = {"VAE_HOST": host, "VAE_PORT": "0", "VAE_METRICS_PORT": port}
    assert _ready(settings) == 1, "nobody listens"
    with _service(tmp_path, **settings) as publish_one:
        assert _ready(settings) == 1, "it listens, and has no package"
        publish_one()
        assert _ready(settings) == 0


def test_the_health_check_needs_no_certificate_and_no_token(port: str, tls: dict[str, str], tmp_path: Path) -> None:
    settings = {"VAE_HOST": "0.0.0.0", "VAE_PORT": "0", "VAE_METRICS_PORT": port, **tls}
    with _service(tmp_path, **settings) as publish_one:
        assert _ready(settings) == 1
        publish_one()
        assert _ready(settings) == 0


@pytest.mark.parametrize("where", ["port", "socket"])
def test_without_a_port_for_http_the_health_check_is_a_call(where: str, port: str, tmp_path: Path) -> None:
    settings = {"VAE_PORT": port} if where == "port" else {"VAE_SOCKET": str(tmp_path / "socket")}
    with _service(tmp_path, **settings) as publish_one:
        assert _ready(settings) == 1
        publish_one()
        assert _ready(settings) == 0


def test_the_health_check_under_tls_says_what_it_needs(tls: dict[str, str]) -> None:
    ended = subprocess.run([_READY], check=False, capture_output=True, text=True, env={**os.environ, **tls})
    assert (ended.returncode, ended.stdout) == (1, "vae-ready: under TLS the health check needs VAE_METRICS_PORT\n")


def _ready(settings: dict[str, str]) -> int:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **settings}
    return subprocess.run([_READY], check=False, capture_output=True, env=environment).returncode
