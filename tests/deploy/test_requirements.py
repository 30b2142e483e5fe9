"""The locked requirements of the images: `make lock` makes them from pyproject.toml and constraints.txt."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.servers import ROOT

EXTRAS = {
    "serving": {"serving", "otel"},
    "serving-gpu": {"serving-gpu", "otel"},
    "jobs": {"serving", "jobs"},
    "training": {"serving", "training"},
    "build": set(),
}
"""What each file is made for."""
_DIRECTORY = ROOT / "deploy" / "requirements"
_LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "python_version": "3.11"}
_AGAIN = "run `make lock`"


def _pins(name: str) -> dict[str, str]:
    """Returns the versions that a file names, by package."""
    found = re.findall(r"^([\w.-]+)==(\S+)", (_DIRECTORY / f"{name}.txt").read_text(), re.MULTILINE)
    return {canonicalize_name(package): version for package, version in found}


def _constraints() -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    return {canonicalize_name(package): version for package, version in found}


def _asked(name: str) -> list[str]:
    """Returns what pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    if name == "build":
        return list(project["build-system"]["requires"])
    optional = project["project"]["optional-dependencies"]
    return [*project["project"]["dependencies"], *(line for extra in EXTRAS[name] for line in optional[extra])]


def _on_linux(lines: Iterable[str], extras: Iterable[str] = ()) -> Iterator[Requirement]:
    """Yields the requirements that hold on Linux."""
    for requirement in map(Requirement, lines):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({**_LINUX, "extra": extra}) for extra in ("", *extras)):
            yield requirement


def _missing(lines: list[str], pins: dict[str, str]) -> Iterator[str]:
    """Yields what is asked for, at any depth, and not pinned, as far as it is installed here."""
    waiting, seen = list(_on_linux(lines)), set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (name, *requirement.extras) in seen:
            continue
        seen.add((name, *requirement.extras))
        if name not in pins or not requirement.specifier.contains(pins[name], prereleases=True):
            yield str(requirement)
        try:
            waiting += _on_linux(requires(name) or [], requirement.extras)
        except PackageNotFoundError:
            continue


def test_there_is_a_file_for_each_image_and_no_other() -> None:
    assert {path.stem for path in _DIRECTORY.iterdir()} == EXTRAS.keys()
    used = {
        name
        for path in (ROOT / "deploy").glob("*.Dockerfile")
        for name in re.findall(r"install\.sh packages (\S+)", path.read_text())
    }
    assert used | {"build"} == EXTRAS.keys()


@pytest.mark.parametrize("name", EXTRAS)
def test_versions_are_those_of_the_constraints(name: str) -> None:
    constraints = _constraints()
    for package, version in _pins(name).items():
        public = version.partition("+")[0]  # torch's builds for the CPU: 2.13.0+cpu
        assert constraints.get(package) == public, f"{package}=={version}: {_AGAIN}, or add it to constraints.txt"


@pytest.mark.parametrize("name", EXTRAS)
def test_all_that_is_asked_for_is_there(name: str) -> None:
    assert list(_missing(_asked(name), _pins(name))) == [], _AGAIN


@pytest.mark.parametrize("name", EXTRAS)
def test_every_version_has_hashes(name: str) -> None:
    for entry in re.split(r"^(?=[\w.-]+==)", (_DIRECTORY / f"{name}.txt").read_text(), flags=re.MULTILINE)[1:]:
        assert re.search(r"^    --hash=sha256:[0-9a-f]{64}", entry, re.MULTILINE), entry.splitlines()[0]


def test_what_serves_has_nothing_that_trains() -> None:
    for name in ("serving", "serving-gpu", "jobs"):
        assert not _pins(name).keys() & {"torch", "onnx", "onnxscript", "scikit-learn", "pip"}
