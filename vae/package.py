"""ModelPackage: a directory that holds a manifest, the graphs it describes and the probes that prove them."""

import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

from vae.errors import PackageError
from vae.files import AnyArray, parse_arrays
from vae.manifest import MANIFEST_FILE, File, Manifest


class ModelPackage(NamedTuple):
    """A model package on disk whose every checksum was verified when it was opened."""

    directory: Path
    manifest: Manifest

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Opens a package and verifies every file.

        Raises:
            PackageError: a file is missing or altered, or the manifest is not understood.
        """
        source = directory / MANIFEST_FILE
        try:
            text = source.read_bytes()
        except OSError as exc:
            raise PackageError(f"{directory} is no model package: cannot read {MANIFEST_FILE}: {exc.strerror}") from exc
        package = cls(directory, Manifest.parse(text, str(source)))
        for file in package.manifest.files:
            package.read(file)
        return package

    def read(self, file: File) -> bytes:
        """Returns a file's bytes, verified once more, so that what runs is what was checked.

        Raises:
            PackageError: the file is missing or altered.
        """
        path = self.directory / file.file
        try:
            content = path.read_bytes()
        except OSError as exc:
            raise PackageError(f"{path}: cannot be read: {exc.strerror}") from exc
        found = sha256_of(content)
        if found != file.sha256:
            raise PackageError(
                f"{path}: wrong checksum: the manifest says {file.sha256[:12]}..., the file is {found[:12]}..."
            )
        return content

    def read_probes(self) -> dict[str, AnyArray]:
        """Returns the probes: arrays named `graph.tensor`, for example `encoder.data`.

        Raises:
            PackageError: the file is missing, altered or no archive of arrays.
        """
        content = self.read(self.manifest.probes)
        try:
            return parse_arrays(io.BytesIO(content))
        except ValueError as exc:
            raise PackageError(f"{self.directory / self.manifest.probes.file}: {exc}") from exc

    @classmethod
    def write(cls, directory: Path, manifest: Manifest, files: Mapping[str, bytes], *, overwrite: bool = False) -> Self:
        """Writes a package so that `directory` holds all of it or nothing.

        Everything goes into a dot-named sibling first, which is then renamed. An existing directory is refused unless
        `overwrite` says otherwise, and is only ever replaced if it is empty or a model package itself.

        Raises:
            PackageError: the directory exists, the files are not those of the manifest, or the disk refused them.
        """
        _check_files(manifest, files)
        _check_target(directory, overwrite)
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
            try:
                staging.chmod(0o755)
                for name, content in {**files, MANIFEST_FILE: manifest.to_json().encode()}.items():
                    _write_durably(staging / name, content)
                _rename_over(staging, directory)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        except OSError as exc:
            raise PackageError(f"{directory}: cannot be written: {exc.strerror}") from exc
        return cls(directory, manifest)


def sha256_of(content: bytes) -> str:
    """Returns the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _check_files(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    described = {file.file: file.sha256 for file in manifest.files}
    given = {name: sha256_of(content) for name, content in files.items()}
    if described != given:
        differing = sorted(name for name, _ in described.items() ^ given.items())
        raise PackageError(f"files and manifest do not agree about {', '.join(dict.fromkeys(differing))}")


def _check_target(directory: Path, overwrite: bool) -> None:
    if not directory.exists():
        return
    is_package = (directory / MANIFEST_FILE).exists()
    is_empty = directory.is_dir() and not any(directory.iterdir())
    if not is_empty and not (overwrite and is_package):
        hint = "; choose another directory or allow overwriting" if is_package else " and is no model package"
        raise PackageError(f"{directory} already exists{hint}")


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _rename_over(staging: Path, directory: Path) -> None:
    """Puts staging in directory's place. A package that was there is moved aside first and deleted last."""
    if not directory.exists() or not any(directory.iterdir()):
        staging.replace(directory)
        return
    replaced = Path(tempfile.mkdtemp(prefix=f".{directory.name}.old.", dir=directory.parent))
    directory.replace(replaced)
    try:
        staging.replace(directory)
    except OSError:
        replaced.replace(directory)
        raise
    shutil.rmtree(replaced, ignore_errors=True)
