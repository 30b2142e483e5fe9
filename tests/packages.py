"""Packages made from the tiny one: other names and versions, and damage that checksums or probes find."""

from pathlib import Path

from tests.servers import ROOT
from vae.manifest import Probes, Tolerance
from vae.package import ModelPackage

TINY = ROOT / "tests" / "data" / "tiny"


def publish(directory: Path, *, name: str = "tiny", version: int = 1, is_right: bool = True) -> Path:
    """Writes the tiny package, in place of what is there. One that is not right fails its probes."""
    tiny = ModelPackage.open(TINY)
    files = {file.file: tiny.read(file) for file in tiny.manifest.files}
    changes: dict[str, object] = {"name": name, "version": version}
    if not is_right:
        probes = tiny.manifest.probes
        exactly = Tolerance(absolute=0, relative=0)  # which float32 is not
        changes["probes"] = Probes(file=probes.file, sha256=probes.sha256, tolerances={"cpu": exactly, "cuda": exactly})
    return ModelPackage.write(directory, tiny.manifest.model_copy(update=changes), files, overwrite=True).directory


def corrupt(directory: Path) -> None:
    """Alters a file of a package, so that its checksum is wrong."""
    content = (directory / "decoder.onnx").read_bytes()
    (directory / "decoder.onnx").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
