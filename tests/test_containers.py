"""What the images are built from, and how docker-compose.yml joins them. Nothing is built here."""

import ast
import json
import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.servers import ROOT
from training.settings.directory import PACKAGE_DIRECTORY
from vaeserve.command.cli import VERBS

OWN = {"vaeserve", "training", "serving"}
DOCKERFILES = sorted((ROOT / "deploy").glob("*.Dockerfile"))


class Image(NamedTuple):
    """What a Dockerfile says of its image."""

    copied: set[str]
    """From the repository."""
    verbs: set[str]
    """Of `vae`, which it runs."""
    extras: set[str]

    @classmethod
    def read(cls, path: Path) -> "Image":
        text = path.read_text().replace("\\\n", "")
        copies = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY ")]
        copied = {source for sources in copies for source in sources if not sources[0].startswith("--from")}
        command = json.loads(re.findall(r"^CMD (\[.*\])", text, re.MULTILINE)[-1])
        health = re.findall(r"^HEALTHCHECK .*CMD vae (\w+) ", text, re.MULTILINE)
        arguments = dict(re.findall(r"^ARG (\w+)=(\S+)", text, re.MULTILINE))
        [listed] = re.findall(r'pip install .*"\.\[(.*)\]"', text)
        extras = set(re.sub(r"\$\{(\w+)\}", lambda name: arguments[name[1]], listed).split(","))
        return cls(copied, {command[0], *health}, extras)


def _imports(package: str) -> set[str]:
    """Returns what of this project a package imports, inside functions too; not what it names for type checkers."""
    found = set()
    for path in (ROOT / package).rglob("*.py"):
        code = re.sub(r"^if TYPE_CHECKING:\n(    .*\n|\n)+", "", path.read_text(), flags=re.MULTILINE)
        for node in ast.walk(ast.parse(code)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            found |= {name.partition(".")[0] for name in names}
    return found & OWN


def _needed(verb: str) -> set[str]:
    """Returns the top-level packages that a verb can come to import."""
    needed, new = set(), {"vaeserve", VERBS[verb].module.partition(".")[0]}
    while new:
        needed |= new
        new = {name for package in new for name in _imports(package)} - needed
    return needed


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_holds_what_its_verbs_need(path: Path) -> None:
    image = Image.read(path)
    for verb in image.verbs:
        assert _needed(verb) <= image.copied, verb
        assert set(filter(None, VERBS[verb].extra.split(","))) <= image.extras, verb
    missing = {"pyproject.toml", "constraints.txt", "README.md", "LICENSE"} - image.copied
    assert not missing, "the build reads these too"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_what_is_copied_is_there_and_not_ignored(path: Path) -> None:
    ignored, *kept = (ROOT / ".dockerignore").read_text().split()
    assert ignored == "*"
    for name in Image.read(path).copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in kept


def test_the_images_run_the_verbs_they_are_for() -> None:
    verbs = {path.name: Image.read(path).verbs for path in DOCKERFILES}
    assert verbs == {"serving.Dockerfile": {"serve", "health"}, "training.Dockerfile": {"train"}}


def test_the_service_serves_what_the_job_leaves(tmp_path: Path) -> None:
    compose = _read_compose(ROOT / "docker-compose.yml")
    training, serving = "services.training", "services.serving"
    for service in (training, serving):
        assert (ROOT / compose[f"{service}.build.dockerfile"][0]).exists()
        assert compose[f"{service}.build.context"] == ["."]
    assert compose[f"{serving}.depends_on.training.condition"] == ["service_completed_successfully"]
    assert "volumes.models" in compose
    assert compose[f"{training}.volumes"] == ["models:/models"]
    assert compose[f"{serving}.volumes"] == ["models:/models:ro"]

    [package] = compose[f"{serving}.environment.VAE_PACKAGE"]
    run = package.removesuffix(f"/{PACKAGE_DIRECTORY}")
    assert run.startswith("/models/")
    assert not Path(package).exists(), "this machine has what only a container has"
    assert _job(compose, tmp_path) == ["train", "digits", "--out", run, "--resume"]
    # `docker compose run training ...` puts a command of its own behind the entrypoint
    assert _job(compose, tmp_path, "train", "my rows.npy", "--out", "/models/mine") == [
        *("train", "my rows.npy", "--out", "/models/mine"),
    ]


def _job(compose: dict[str, list[str]], directory: Path, *command: str) -> list[str]:
    """Returns the arguments with which the training job runs `vae`."""
    (directory / "vae").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (directory / "vae").chmod(0o755)
    entrypoint = [part.replace("$$", "$") for part in compose["services.training.entrypoint"]]
    environment = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}
    ended = subprocess.run([*entrypoint, *command], check=True, capture_output=True, text=True, env=environment)
    return ended.stdout.splitlines()


def _read_compose(path: Path) -> dict[str, list[str]]:
    """Reads the little of YAML that the file uses: nested keys, lists of lines, and text folded by `>-`."""
    found: dict[str, list[str]] = {}
    keys: list[tuple[int, str]] = []
    for line in path.read_text().splitlines():
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if not text or text.startswith("#"):
            continue
        assert "\t" not in line
        key = re.fullmatch(r"([\w-]+):(?: (.*))?", text)
        if key:
            keys = [*(outer for outer in keys if outer[0] < indent), (indent, key[1])]
        name = ".".join(name for _, name in keys)
        value = (key[2] or "") if key else text
        values = found.setdefault(name, [])
        if key or text.startswith("- "):
            values += [part for part in [value.removeprefix("- ").strip('"')] if part]
        elif values[-1] == ">-":
            values[-1] = text
        else:
            values[-1] += f" {text}"
    return found
