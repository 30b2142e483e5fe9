"""What holds the project together and no single module can test."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Set
from pathlib import Path

import numpy as np
import pytest

from serving.settings import Settings
from tests.support.make_tiny_package import make
from tests.support.servers import ROOT
from vaeserve.package.directory import ModelPackage
from vaeserve.package.manifest import Manifest

STUBS = ["vae_pb2.py", "vae_pb2.pyi", "vae_pb2_grpc.py", "vae_pb2_grpc.pyi"]


def test_the_stubs_are_what_the_proto_generates(tmp_path: Path) -> None:
    outs = [f"--{kind}_out={tmp_path}" for kind in ("python", "grpc_python")]
    outs += [f"--{kind}_out=quiet:{tmp_path}" for kind in ("mypy", "mypy_grpc")]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-Ivaeserve=proto/vae", *outs, "vaeserve/v1/vae.proto"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PATH": path})
    for name in STUBS:
        generated, committed = (folder / "vaeserve" / "v1" / name for folder in (tmp_path, ROOT))
        assert generated.read_text() == committed.read_text(), f"{name} is stale: run `make proto`"


def test_the_tiny_package_is_what_its_generator_makes(tiny: Path, tmp_path: Path) -> None:
    made, committed = make(tmp_path / "tiny"), ModelPackage.open(tiny)
    assert sorted(file.name for file in tiny.iterdir()) == sorted(file.name for file in made.directory.iterdir())
    for file in tiny.glob("*.onnx"):
        assert file.read_bytes() == (made.directory / file.name).read_bytes(), file.name
    probes = made.read_probes()
    assert probes.keys() == committed.read_probes().keys()
    for name, array in committed.read_probes().items():
        np.testing.assert_array_equal(probes[name], array, name, strict=True)
    # NumPy may lay out an archive of the same arrays in another way.
    assert _without_the_archives_checksum(made.manifest) == _without_the_archives_checksum(committed.manifest)


def _without_the_archives_checksum(manifest: Manifest) -> Manifest:
    return manifest.model_copy(update={"probes": manifest.probes.model_copy(update={"sha256": ""})})


HALVES = ("vaeserve", "serving", "training", "jobs")

PACKAGES = [
    str(file.parent.relative_to(ROOT))
    for half in HALVES
    for file in sorted((ROOT / half).rglob("__init__.py"))
    if file.parent.name != "v1"
]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_lists_all_that_it_holds(package: str) -> None:
    held = {file.stem for file in (ROOT / package).glob("*.py")} - {"__init__"}
    held |= {file.parent.name for file in (ROOT / package).glob("*/__init__.py")}
    missing = held - set(re.findall(r"\w+", _list_of(package)))
    assert not missing, f"the docstring of {package}/__init__.py lists its files; add a line for {sorted(missing)}"


def _list_of(package: str) -> str:
    return (ROOT / package / "__init__.py").read_text().split('"""')[1]


TWINS = {"Exactness", "Execution", "Likelihood"}
"""Names that the wire and the inside deliberately share."""


@pytest.mark.parametrize("half", HALVES)
def test_few_modules_stand_beside_the_rooms(half: str) -> None:
    assert len(list((ROOT / half).glob("*.py"))) - 1 <= 8


def test_no_class_shares_its_name_with_another() -> None:
    places: dict[str, list[str]] = {}
    for file in _modules():
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name.lstrip("_"), []).append(_name_of(file))
    assert {name: where for name, where in places.items() if len(where) > 1}.keys() == TWINS


def test_modules_and_functions_can_be_read_at_once() -> None:
    long = [str(file) for file in _modules() if len(file.read_text().splitlines()) > 300]
    for file in _modules():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                long += [f"{file}: {node.name}"] * (lines > 45)
    assert long == []


def test_operators_find_every_setting_in_its_order_and_every_metric() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    listed = re.findall(r"`VAE_([A-Z_]+)`(?=[^|]*\|)", page.partition("## How a model is run")[0])
    assert [name.lower() for name in listed] == list(Settings.model_fields)
    metrics = set(re.findall(r'"(vae_\w+)"', (ROOT / "serving" / "telemetry" / "metrics.py").read_text()))
    assert {name for name in metrics if f"`{name}" not in page} == set()


def test_no_module_imports_itself_in_a_circle_not_even_for_type_checkers() -> None:
    files = {_name_of(file): file for file in _modules()}
    imports = {name: _imports_of(file, files.keys()) for name, file in files.items()}
    for start, imported in imports.items():
        seen, waiting = set[str](), list(imported)
        while waiting:
            name = waiting.pop()
            assert name != start, f"{start} imports itself through {sorted(seen & imports.keys())[:20]}"
            if name not in seen:
                seen.add(name)
                waiting += imports.get(name, ())


def _modules() -> list[Path]:
    files = (file for half in HALVES for file in (ROOT / half).rglob("*.py"))
    return [file for file in files if file.parent.name != "v1"]


def _name_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imports_of(file: Path, known: Set[str]) -> set[str]:
    """Returns which of our modules a file imports when it is loaded, or when a type checker reads it."""
    found = set[str]()
    for node in _at_its_top(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & known or {node.module} & known
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & known
    return found


def _at_its_top(node: ast.AST) -> Iterator[ast.AST]:
    """Yields what is not within a function: verbs import what they need when they are called."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from _at_its_top(child)


HEAVY = {"numpy", "grpc", "google.protobuf", "pydantic", "PIL", "torch", "onnxruntime"}


def _imported(code: str) -> set[str]:
    listing = f"{code}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", listing], check=True, capture_output=True, text=True, cwd=ROOT)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("from vaeserve.command.cli import run; run(['--help'])", HEAVY),
        ("from vaeserve.command.cli import run; run(['sample', '--help'])", HEAVY),
        ("from vaeserve.command.cli import run; run(['info', '--help'])", HEAVY),
        ("from vaeserve.command.cli import run; run(['decode'])", HEAVY),
        ("from vaeserve.command.cli import run; run(['help', 'reconstruct'])", HEAVY | {"pyarrow"}),
        ("from vaeserve.command.cli import run; run(['encode', '--inptu', 'x.npy'])", HEAVY),
        ("from vaeserve.command.cli import run; run(['health', '--help'])", HEAVY),
        ("from vaeserve.command.cli import run; run(['trian'])", HEAVY),
        ("from vaeserve.command.cli import run; run(['completion', '--help'])", HEAVY | {"shtab"}),
        ("from vaeserve.command.cli import run; run(['--version']); import vaeserve; vaeserve.__version__", HEAVY),
        ("from vaeserve.command.cli import run; run(['bench', '--help'])", HEAVY),
        ("from vaeserve.command.cli import run; run(['bench', '--target', 'localhost:1', '--rows', '0'])", HEAVY),
        ("import vaeserve, vaeserve.package.manifest", {"grpc", "torch", "onnxruntime"}),
        ("from vaeserve import Client", {"torch", "onnx", "onnxruntime", "sklearn", "PIL", "numpy.random"}),
        ("import vaeserve; vaeserve.Local", {"torch", "onnx", "onnxruntime", "sklearn", "training"}),
        ("import serving.app", {"torch", "onnx", "sklearn", "training"}),
        ("import serving.app", {"PIL", "prometheus_client", "http.server", "opentelemetry"}),
        ("import training.cli", {"torch", "grpc", "serving", "matplotlib"}),
        ("import training.card.grids", {"torch", "matplotlib", "onnxruntime"}),
        ("import vaeserve; vaeserve.Spec", {"torch", "onnx", "onnxruntime", "grpc"}),
        ("from vaeserve.command.cli import run; run(['package', '--help'])", {"torch", "onnx", "onnxruntime", "grpc"}),
    ],
)
def test_what_an_import_does_not_bring(code: str, absent: set[str]) -> None:
    assert not _imported(code) & absent


@pytest.mark.parametrize(
    ("name", "missing", "said"),
    [
        ("Local", "onnxruntime", "no ONNX Runtime: install the extra serving: pip install '.[serving]'"),
        (
            "export",
            "torch",
            "vaeserve.export needs torch: install the extras training,serving: pip install '.[training,serving]'",
        ),
    ],
)
def test_what_an_extra_brings_says_which(name: str, missing: str, said: str, tiny: Path) -> None:
    without = f"import sys; sys.modules[{missing!r}] = None; from vaeserve import {name}; {name}({str(tiny)!r})"
    done = subprocess.run([sys.executable, "-c", without], check=False, capture_output=True, text=True, cwd=ROOT)
    assert f"Error: {said} in vaeserve's source" in done.stderr.splitlines()[-1]
