import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from vaeserve.runtime import installed_wheels

ROOT = Path(__file__).parents[2]


def install(site: Path, *names: str) -> None:
    """Lays out what pip leaves behind, with nothing inside."""
    (site / "onnxruntime").mkdir(parents=True, exist_ok=True)
    (site / "onnxruntime" / "__init__.py").write_text("import os\nprint(os.environ['ORT_DISABLE_TELEMETRY'])\n")
    for name in names:
        metadata = site / f"{name.replace('-', '_')}-1.31.1.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.31.1\n")


@pytest.mark.parametrize(
    "names", [[], ["onnxruntime"], ["onnxruntime-gpu"], ["onnxruntime", "onnxruntime-gpu"], ["onnxruntime", "numpy"]]
)
def test_wheels_are_found_by_their_metadata(tmp_path: Path, names: list[str]) -> None:
    install(tmp_path, *names)
    found = installed_wheels(distributions(path=[str(tmp_path)]), tmp_path / "onnxruntime")
    assert found == [name for name in names if name != "numpy"]


def test_a_wheel_elsewhere_does_not_count(tmp_path: Path) -> None:
    install(tmp_path / "one", "onnxruntime")
    install(tmp_path / "other", "onnxruntime-gpu")
    both = distributions(path=[str(tmp_path / "one"), str(tmp_path / "other")])
    assert installed_wheels(both, tmp_path / "one" / "onnxruntime") == ["onnxruntime"]


def prepare(*sites: Path, extras: str = "", **environment: str) -> str:
    """Runs the check where only these directories are searched, and returns what it says."""
    arguments = repr(extras) if extras else ""
    code = f"""
import sys
import vaeserve.runtime
sys.path[:] = {[str(site) for site in sites]!r} + [path for path in sys.path if "site-packages" not in path]
try:
    vaeserve.runtime.prepare_onnxruntime({arguments})
except vaeserve.errors.StartupError as exc:
    sys.exit(f"refused: {{exc}}")
import onnxruntime
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**{name: value for name, value in os.environ.items() if not name.startswith("ORT_")}, **environment},
    )
    return done.stdout.strip() + done.stderr.strip()


def test_none_is_installed(tmp_path: Path) -> None:
    assert prepare(tmp_path).startswith("refused: no ONNX Runtime: install the extra serving: ")
    assert "pip install '.[training,serving]'" in prepare(tmp_path, extras="training,serving")


def test_both_are_installed(tmp_path: Path) -> None:
    install(tmp_path, "onnxruntime", "onnxruntime-gpu")
    assert prepare(tmp_path).startswith("refused: onnxruntime and onnxruntime-gpu are both installed")


def test_one_is_installed_and_told_to_keep_quiet(tmp_path: Path) -> None:
    install(tmp_path, "onnxruntime-gpu")
    assert prepare(tmp_path) == "1"
    assert prepare(tmp_path, ORT_DISABLE_TELEMETRY="0") == "0"
