import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vaeserve.errors import PackageError
from vaeserve.files import exchange
from vaeserve.package.contents import File
from vaeserve.package.directory import ModelPackage, check_place, sha256_of

if TYPE_CHECKING:
    from tests.vaeserve.conftest import Contents

ROOT = Path(__file__).parents[3]


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


@pytest.mark.parametrize("name", ["encoder.onnx", "probes.npz", "notes.txt"])
def test_a_package_that_will_run_is_verified_where_nobody_reads_next(
    contents: "Contents", tmp_path: Path, name: str
) -> None:
    notes = File(file="notes.txt", sha256=sha256_of(b"notes"))
    manifest = contents.manifest.model_copy(update={"assets": (notes,)})
    written = ModelPackage.write(tmp_path / "noted", manifest, {**contents.files, notes.file: b"notes"})
    (written.directory / name).write_bytes(b"other")
    if name == notes.file:
        with pytest.raises(PackageError, match=r"notes\.txt: wrong checksum"):
            ModelPackage.open_to_run(written.directory)
        return
    opened = ModelPackage.open_to_run(written.directory)
    with pytest.raises(PackageError, match=f"{name}: wrong checksum"):
        opened.read_probes() if name == "probes.npz" else opened.read(manifest.graphs.encoder)


def test_no_package_at_all(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="is not a model package"):
        ModelPackage.open(tmp_path)
    with pytest.raises(PackageError, match="is not a model package"):
        ModelPackage.open(tmp_path / "absent")


def test_the_directory_of_a_run_hints_at_its_package(contents: "Contents", tmp_path: Path) -> None:
    ModelPackage.write(tmp_path / "run" / "model", contents.manifest, contents.files)
    with pytest.raises(PackageError, match=rf"{tmp_path}/run is not a model package: try {tmp_path}/run/model$"):
        ModelPackage.open(tmp_path / "run")


@pytest.mark.parametrize("name", ["checkpoint.safetensors", "model/manifest.json", "model/encoder.onnx"])
def test_a_file_of_a_run_or_of_a_package_hints_at_the_package(name: str, contents: "Contents", tmp_path: Path) -> None:
    ModelPackage.write(tmp_path / "run" / "model", contents.manifest, contents.files)
    (tmp_path / "run" / "checkpoint.safetensors").touch()
    with pytest.raises(PackageError, match=rf"/run/{name} is not a model package: try {tmp_path}/run/model$"):
        ModelPackage.open(tmp_path / "run" / name)


def test_a_place_can_be_checked_before_any_work(package: ModelPackage, tmp_path: Path) -> None:
    check_place(tmp_path / "new")
    with pytest.raises(PackageError, match=r"already exists; choose another directory$"):
        check_place(package.directory)
    with pytest.raises(PackageError, match=r"cannot be written: File name too long$"):
        check_place(tmp_path / ("x" * 5000))
    (tmp_path / "file").touch()
    with pytest.raises(PackageError, match=r"/file/a/b: cannot be written: .*/file is not a directory that can be"):
        check_place(tmp_path / "file" / "a" / "b")


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
        with pytest.raises(PackageError, match="is not a model package"):
            ModelPackage.write(tmp_path / name, contents.manifest, contents.files, overwrite=True)
    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "precious"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"name": "an extension of a browser", "manifest_version": 3}', "schema_version: Field required"),
        ('{"schema_version": 3}', "schema_version 3 is unknown"),
        ("{", "Invalid JSON"),
    ],
)
def test_a_manifest_that_is_not_understood_is_never_replaced(
    contents: "Contents", tmp_path: Path, text: str, why: str
) -> None:
    target = tmp_path / "p"
    target.mkdir()
    (target / "manifest.json").write_text(text)
    with pytest.raises(PackageError, match=rf"{why}.*; {target} is not replaced: remove it by hand"):
        ModelPackage.write(target, contents.manifest, contents.files, overwrite=True)
    assert [(path.name, path.read_text()) for path in target.iterdir()] == [("manifest.json", text)]


def test_a_link_stays_one(contents: "Contents", package: ModelPackage, tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to("digits")
    newer = contents.manifest.model_copy(update={"version": 2})
    assert ModelPackage.write(link, newer, contents.files, overwrite=True).directory == link
    assert link.is_symlink()
    assert ModelPackage.open(package.directory).manifest.version == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["current", "digits"]


def test_empty_directory_is_filled(contents: "Contents", tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    assert ModelPackage.write(tmp_path / "p", contents.manifest, contents.files) == ModelPackage.open(tmp_path / "p")


def test_unwritable_parent(contents: "Contents", tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PackageError, match="cannot be written"):
        ModelPackage.write(tmp_path / "file" / "p", contents.manifest, contents.files)


WRITER = """
import resource, sys
from pathlib import Path
from vaeserve.errors import PackageError
from vaeserve.package.directory import ModelPackage

source, target = ModelPackage.open(Path(sys.argv[1])), Path(sys.argv[2])
files = {file.file: source.read(file) for file in source.manifest.files}
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # bytes: enough for the graphs, not for the probes
try:
    ModelPackage.write(target, source.manifest, files, overwrite=True)
except PackageError as exc:
    sys.exit(str(exc))
"""


def test_failure_half_way_leaves_nothing(package: ModelPackage, tmp_path: Path) -> None:
    for target in (package.directory, tmp_path / "new"):
        failed = run_python(WRITER, package.directory, target)
        assert (failed.returncode, failed.stderr.strip()) == (1, f"{target}: cannot be written: File too large")
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]
    assert ModelPackage.open(package.directory) == package


# Python announces what it is about to ask the system for; a child is killed at the first such moment, the next at the
# second, and so on, until one lives to the end. Then one line a child: the version that the directory holds.
KILLER = """
import itertools, os, signal, sys
from pathlib import Path
from vaeserve.package.directory import ModelPackage

source, target = ModelPackage.open(Path(sys.argv[1])), Path(sys.argv[2])
files = {file.file: source.read(file) for file in source.manifest.files}
newer = source.manifest.model_copy(update={"version": 2})

def write_and_die(last):
    moments = itertools.count(1)
    def die(event, arguments):
        if event.startswith(("open", "os.", "shutil.", "ctypes.")) and next(moments) == last:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(die)
    ModelPackage.write(target, newer, files, overwrite=True)
    os._exit(0)

for moment in itertools.count(1):
    if (child := os.fork()) == 0:
        write_and_die(moment)
    _, status = os.waitpid(child, 0)
    print(ModelPackage.open(target).manifest.version if target.exists() else "none")
    if status == 0:
        break
    assert os.WTERMSIG(status) == signal.SIGKILL, status
"""


def versions_after_kills(source: Path, target: Path) -> list[str]:
    done = run_python(KILLER, source, target)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_an_overwrite_killed_at_any_moment_leaves_the_old_package_or_the_new(
    package: ModelPackage, contents: "Contents", tmp_path: Path
) -> None:
    if not exchange(package.directory, package.directory):
        pytest.skip("this file system does not exchange names")
    target = tmp_path / "target"
    ModelPackage.write(target, contents.manifest, contents.files)
    found = versions_after_kills(package.directory, target)
    before = found.count("1")
    assert found == ["1"] * before + ["2"] * (len(found) - before)
    assert before > 15, "moments before the exchange"
    assert len(found) > before + 1, "moments after it"


def test_a_first_write_killed_at_any_moment_leaves_nothing_or_the_package(
    package: ModelPackage, tmp_path: Path
) -> None:
    found = versions_after_kills(package.directory, tmp_path / "new")
    before = found.count("none")
    assert before > 15
    assert set(found[before:]) == {"2"}


def run_python(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # or a fork would meet its threads
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, env=environment)
