import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vae.errors import PackageError
from vae.package import ModelPackage, sha256_of

if TYPE_CHECKING:
    from tests.vae.conftest import Contents

ROOT = Path(__file__).parents[2]


def test_round_trip(contents: "Contents", package: ModelPackage) -> None:
    opened = ModelPackage.open(package.directory)
    assert opened == package
    assert opened.manifest == contents.manifest
    assert opened.read(opened.manifest.graphs.encoder) == b"encoder"
    assert opened.read_probes()["encoder.data"].shape == (2, 8, 8, 1)
    assert [path.name for path in package.directory.parent.iterdir()] == ["digits"]


@pytest.mark.parametrize("name", ["encoder.onnx", "decoder.onnx", "probes.npz", "manifest.json"])
def test_missing_file(package: ModelPackage, name: str) -> None:
    (package.directory / name).unlink()
    with pytest.raises(PackageError, match=f"{name}.*No such file"):
        ModelPackage.open(package.directory)


@pytest.mark.parametrize("name", ["encoder.onnx", "decoder.onnx", "probes.npz"])
def test_altered_file(package: ModelPackage, name: str) -> None:
    content = bytearray((package.directory / name).read_bytes())
    content[-1] ^= 1
    (package.directory / name).write_bytes(content)
    with pytest.raises(PackageError, match=f"{name}: wrong checksum"):
        ModelPackage.open(package.directory)


def test_file_altered_after_opening(package: ModelPackage) -> None:
    (package.directory / "encoder.onnx").write_bytes(b"other")
    with pytest.raises(PackageError, match="wrong checksum"):
        package.read(package.manifest.graphs.encoder)


def test_no_package_at_all(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="is no model package"):
        ModelPackage.open(tmp_path)
    with pytest.raises(PackageError, match="is no model package"):
        ModelPackage.open(tmp_path / "absent")


def test_probes_that_are_no_archive(contents: "Contents", tmp_path: Path) -> None:
    probes = contents.manifest.probes.model_copy(update={"sha256": sha256_of(b"PK\x03\x04 cut short")})
    manifest = contents.manifest.model_copy(update={"probes": probes})
    package = ModelPackage.write(tmp_path / "p", manifest, {**contents.files, "probes.npz": b"PK\x03\x04 cut short"})
    with pytest.raises(PackageError, match=r"probes\.npz: is no"):
        package.read_probes()


def test_files_and_manifest_must_agree(contents: "Contents", tmp_path: Path) -> None:
    for files in (
        {**contents.files, "encoder.onnx": b"other"},
        {**contents.files, "extra.bin": b""},
        {"encoder.onnx": b"encoder"},
    ):
        with pytest.raises(PackageError, match="do not agree"):
            ModelPackage.write(tmp_path / "p", contents.manifest, files)
    assert not list(tmp_path.iterdir())


def test_existing_package_is_replaced_only_if_asked(contents: "Contents", package: ModelPackage) -> None:
    with pytest.raises(PackageError, match="already exists; choose another"):
        ModelPackage.write(package.directory, contents.manifest, contents.files)
    newer = contents.manifest.model_copy(update={"version": 2})
    ModelPackage.write(package.directory, newer, contents.files, overwrite=True)
    assert ModelPackage.open(package.directory).manifest.version == 2
    assert [path.name for path in package.directory.parent.iterdir()] == ["digits"]


def test_what_is_no_package_is_never_replaced(contents: "Contents", tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for name in ("thesis", "file"):
        with pytest.raises(PackageError, match="is no model package"):
            ModelPackage.write(tmp_path / name, contents.manifest, contents.files, overwrite=True)
    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "precious"


def test_empty_directory_is_filled(contents: "Contents", tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    assert ModelPackage.write(tmp_path / "p", contents.manifest, contents.files) == ModelPackage.open(tmp_path / "p")


def test_unwritable_parent(contents: "Contents", tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PackageError, match="cannot be written"):
        ModelPackage.write(tmp_path / "file" / "p", contents.manifest, contents.files)


WRITER = """
import os, resource, signal, sys
from pathlib import Path
from vae.errors import PackageError
from vae.package import ModelPackage

source, target, how = ModelPackage.open(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
files = {file.file: source.read(file) for file in source.manifest.files}
steps = 0

def die(event, arguments):
    global steps
    writes = event == "open" and str(arguments[0]).startswith(f"{target.parent}/.")
    if writes or event == "os.rename":
        steps += 1
        if steps == int(how):
            os.kill(os.getpid(), signal.SIGKILL)

if how == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # bytes: enough for the graphs, not for the probes
else:
    sys.addaudithook(die)
try:
    ModelPackage.write(target, source.manifest, files, overwrite=True)
except PackageError as exc:
    sys.exit(str(exc))
"""


def write_in_another_process(source: Path, target: Path, how: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WRITER, str(source), str(target), how]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)


def test_failure_half_way_leaves_nothing(package: ModelPackage, tmp_path: Path) -> None:
    for target in (package.directory, tmp_path / "new"):
        failed = write_in_another_process(package.directory, target, "full")
        assert (failed.returncode, failed.stderr.strip()) == (1, f"{target}: cannot be written: File too large")
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]
    assert ModelPackage.open(package.directory) == package


@pytest.mark.parametrize("step", range(1, 6))
def test_killed_while_writing(package: ModelPackage, tmp_path: Path, step: int) -> None:
    killed = write_in_another_process(package.directory, tmp_path / "new", str(step))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "new").exists()
