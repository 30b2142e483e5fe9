import os
import subprocess
import sys
from pathlib import Path

import pytest

from vae.cli import VERBS, run
from vae.package import ModelPackage

ROOT = Path(__file__).parents[2]
HEAVY = {"grpc", "numpy", "pydantic", "PIL", "google.protobuf", "onnxruntime", "torch"}


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"  {verb}" in said and VERBS[verb].summary in said for verb in VERBS)
    assert run([]) == 2


def test_unknown_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["smaple"]) == 2
    assert capsys.readouterr().err == "vae: no such verb: smaple; `vae --help` lists them\n"


@pytest.mark.parametrize("arguments", [["--help"], ["sample", "--help"], ["info", "--help"], ["decode"]])
def test_help_and_mistakes_import_nothing_heavy(arguments: list[str]) -> None:
    code = "import sys; from vae.cli import run; run(sys.argv[1:]); print(*sys.modules)"
    imported = set(python(code, *arguments).stdout.split())
    assert "argparse" in imported or arguments == ["--help"]
    assert not imported & HEAVY


def test_importing_the_package_or_a_manifest_loads_no_grpc() -> None:
    done = python("import sys, vae, vae.manifest; print('grpc' in sys.modules); from vae import Client; print(Client)")
    assert done.stdout.splitlines() == ["False", "<class 'vae.client.Client'>"]
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        __import__("vae").nothing  # noqa: B018


def test_missing_extra_is_named(tmp_path: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from vae.cli import run; sys.exit(run(['serve']))"
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "__init__.py").touch()
    (tmp_path / "serving" / "cli.py").write_text("import surely_not_installed\n")
    done = python(code)
    assert done.returncode == 1
    assert done.stderr == "vae: `vae serve` needs surely_not_installed: pip install 'vaeserve[serving]'\n"


def test_a_reader_that_left_is_no_error(package: ModelPackage) -> None:
    code = "import os, sys; os.close(0); from vae.cli import main; main()"
    read, write = os.pipe()
    os.close(read)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", code, "info", str(package.directory)],
        check=False,
        stdout=write,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environment,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        ("KeyboardInterrupt()", 130, "vae: interrupted\n"),
        ("__import__('vae.errors').errors.StartupError('no port')", 1, "vae: no port\n"),
        ("SystemExit(2)", 2, ""),
    ],
)
def test_exit_codes(tmp_path: Path, raised: str, code: int, said: str) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "__init__.py").touch()
    (tmp_path / "training" / "cli.py").write_text(f"def train(arguments): raise {raised}\n")
    done = python(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from vae.cli import run; sys.exit(run(['train']))"
    )
    assert (done.returncode, done.stderr) == (code, said)
