"""Packages made from the tiny one: other names and versions, and damage that checksums or probes find."""

from datetime import datetime
from pathlib import Path

from tests.support.make_mixture_prior import add_prior
from tests.support.servers import ROOT
from vaeserve.package.contents import Probes, Tolerance
from vaeserve.package.directory import ModelPackage

TINY = ROOT / "tests" / "data" / "tiny"


def publish(
    directory: Path,
    *,
    name: str = "tiny",
    version: int = 1,
    is_right: bool = True,
    prior: str = "",
    created_at: datetime | None = None,
) -> Path:
    """Writes the tiny package, in place of what is there. One that is not right fails its probes.

    Args:
        directory: the package.
        name: what to call the model.
        version: of the model.
        is_right: whether it can be loaded.
        prior: name of a mixture that becomes the default prior; none if empty.
        created_at: when; the tiny package's own time if not given.
    """
    tiny = ModelPackage.open(TINY)
    manifest, files = tiny.manifest, {file.file: tiny.read(file) for file in tiny.manifest.files}
    if prior:
        manifest, files = add_prior(tiny, prior)
    changes: dict[str, object] = {"name": name, "version": version, "created_at": created_at or manifest.created_at}
    if not is_right:
        probes = manifest.probes
        exactly = Tolerance(absolute=0, relative=0)  # which float32 is not
        changes["probes"] = Probes(file=probes.file, sha256=probes.sha256, tolerances={"cpu": exactly, "cuda": exactly})
    return ModelPackage.write(directory, manifest.model_copy(update=changes), files, overwrite=True).directory


def corrupt(directory: Path, file: str = "decoder.onnx") -> None:
    """Alters a file of a package, so that its checksum is wrong."""
    content = (directory / file).read_bytes()
    (directory / file).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
