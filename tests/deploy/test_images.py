"""What the images are built from. Nothing is built here; `make image-test` does that."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.packages import publish
from tests.support.servers import ROOT, VAE
from vaeserve.command.cli import VERBS

_OWN = {"vaeserve", "training", "serving", "jobs"}
_HADOLINT = Path(sys.executable).parent / "hadolint"
_DOCKERFILES = sorted((ROOT / "deploy").glob("*.Dockerfile"))
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
    def extras(self) -> set[str]:
        listed = [found for line in self.lines for found in re.findall(r'pip .*install .*"\.\[(.*)\]"', line)]
        return {extra for extras in listed for extra in extras.split(",")}


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
    extras = {{"serving-gpu": "serving"}.get(extra, extra) for extra in stage.extras}
    assert set(filter(None, VERBS[command[0]].extra.split(","))) <= extras
    missing = {"pyproject.toml", "constraints.txt", "README.md", "LICENSE"} - stage.copied
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
            assert {"title", "description", "version", "revision", "licenses"} <= set(
                re.findall(r"org\.opencontainers\.image\.(\w+)=", labels)
            )


@pytest.mark.parametrize("path", _DOCKERFILES, ids=lambda path: path.name)
def test_the_linter_of_dockerfiles_is_content(path: Path) -> None:
    ended = subprocess.run([_HADOLINT, path], check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout


def test_the_health_check_asks_whether_the_service_is_ready(port: str, tmp_path: Path) -> None:
    assert _ready(port) == 1, "nobody listens"
    command = [*VAE, "serve", str(tmp_path), "--wait-for-package", "--port", "0", "--metrics-port", port]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            assert server.stdout is not None
            next(line for line in server.stderr if "waiting" in line)
            assert _ready(port) == 1, "it listens, and has no package"
            publish(tmp_path / "package")
            assert "serving tiny" in next(server.stdout)
            assert _ready(port) == 0
        finally:
            server.kill()


def _ready(port: str) -> int:
    environment = {**os.environ, "VAE_HOST": "0.0.0.0", "VAE_METRICS_PORT": port}
    command = [str(ROOT / "deploy" / "ready.sh")]
    return subprocess.run(command, check=False, capture_output=True, env=environment).returncode
