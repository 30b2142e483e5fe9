"""ModelPackage: a directory that holds a manifest, the graphs it describes and the probes that prove them."""

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple, Self

from vaeserve.errors import PackageError
from vaeserve.files import AnyArray, sync_directory, write_whole
from vaeserve.package.bounded import read_archive, read_regular
from vaeserve.package.contents import File, Graph, Probes
from vaeserve.package.manifest import MANIFEST_FILE, Manifest
from vaeserve.package.swap import swap

# Maximum size of each file, which is read whole. Column names are what makes manifests long.
_MANIFEST_BYTES = 2 * 2**20
_GRAPH_BYTES = 2**31 - 1  # what one message of protobuf holds
_PROBES_BYTES = 2**30  # packed, and unpacked too
_OTHER_BYTES = 64 * 2**20


class ModelPackage(NamedTuple):
    """A model package on disk. Every file is verified when the package is opened, or when it is read."""

    directory: Path
    manifest: Manifest

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Opens a package and verifies every file.

        Raises:
            PackageError: a file is missing or altered, or the manifest is not understood.
        """
        package = cls(directory, read_manifest(directory))
        package._verify(package.manifest.files)
        return package

    @classmethod
    def open_to_run(cls, directory: Path) -> Self:
        """Opens a package to run its graphs: whoever opens it reads the served graphs and the probes next.

        Those are verified when they are read, because to read and hash large graphs twice takes a second or more. Every
        other file is verified here.

        Raises:
            PackageError: a file is missing or altered, or the manifest is not understood.
        """
        package = cls(directory, read_manifest(directory))
        manifest = package.manifest
        read_next = {manifest.probes.file, *(graph.file for graph in manifest.served_graphs.values())}
        package._verify([file for file in manifest.files if file.file not in read_next])
        return package

    def _verify(self, files: Iterable[File]) -> None:
        for file in files:
            self.read(file)

    def read(self, file: File) -> bytes:
        """Returns a file's bytes, verified at every reading, so that what runs is what was checked.

        Raises:
            PackageError: the file is missing, altered, too long, or not a regular file.
        """
        path = self.directory / file.file
        try:
            content = read_regular(path, _maximum_bytes(file))
        except OSError as exc:
            raise PackageError(f"{path}: cannot be read: {exc.strerror}") from exc
        except ValueError as exc:
            raise PackageError(f"{path}: {exc}") from exc
        digest = sha256_of(content)
        if digest != file.sha256:
            raise PackageError(
                f"{path}: wrong checksum: the manifest says {file.sha256[:12]}..., the file is {digest[:12]}..."
            )
        return content

    def read_probes(self) -> dict[str, AnyArray]:
        """Returns the probes: arrays named `graph.tensor`, for example `encoder.data`.

        Raises:
            PackageError: the file is missing, altered, too long, or not an archive of arrays.
        """
        content = self.read(self.manifest.probes)
        try:
            return parse_probes(content)
        except ValueError as exc:
            raise PackageError(f"{self.directory / self.manifest.probes.file}: {exc}") from exc

    @classmethod
    def write(cls, directory: Path, manifest: Manifest, files: Mapping[str, bytes], *, overwrite: bool = False) -> Self:
        """Writes a package. Afterwards `directory` holds all of it, or what it held before.

        Everything goes into a dot-named sibling first, which then takes the directory's place. An existing directory
        is refused unless `overwrite` says otherwise, and is only ever replaced if it is empty or a model package
        itself. Where the system and the file system can exchange two names (Linux, on any usual disk), the directory
        holds the old package or the new one at every moment.

        Raises:
            PackageError: the directory exists, or is not a package whose manifest can be read; the files are not those
                of the manifest; or the disk refused them.
        """
        _check_files(manifest, files)
        try:
            place = directory.resolve()  # follows a link, which itself stays
            replaces = _replaces_package(directory, overwrite)
            place.parent.mkdir(parents=True, exist_ok=True)
            staging = place.parent / f".{place.name}.{token_hex(4)}"
            staging.mkdir()
            try:
                for name, content in {**files, MANIFEST_FILE: manifest.to_json().encode()}.items():
                    write_whole(staging / name, content)
                if replaces:
                    swap(staging, place)
                else:
                    staging.replace(place)
                sync_directory(place.parent)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        except OSError as exc:
            raise PackageError(f"{directory}: cannot be written: {exc.strerror}") from exc
        return cls(directory, manifest)


def check_place(directory: Path) -> None:
    """Makes sure that a new package can be written there, before any work is done for it.

    Raises:
        PackageError: the directory exists, and is not empty; or it cannot be made.
    """
    try:
        _replaces_package(directory, overwrite=False)
        above = next(path for path in directory.resolve().parents if path.exists())
    except OSError as exc:
        raise PackageError(f"{directory}: cannot be written: {exc.strerror}") from exc
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise PackageError(f"{directory}: cannot be written: {above} is not a directory that can be written to")


def parse_probes(content: bytes) -> dict[str, AnyArray]:
    """Returns the arrays of an archive of probes. An array that is a text names another array, and stands for it.

    Raises:
        ValueError: it is not such an archive, unpacks to too much, or names an array that is not there.
    """
    stored = read_archive(content, _PROBES_BYTES)
    references = {name: str(array) for name, array in stored.items() if array.dtype.kind == "U" and not array.ndim}
    arrays = {name: array for name, array in stored.items() if name not in references}
    for name, same in references.items():
        if same not in arrays:
            raise ValueError(f"{name}: stands for {same!r}, which is not there")
    return arrays | {name: arrays[same] for name, same in references.items()}


def sha256_of(content: bytes) -> str:
    """Returns the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _maximum_bytes(file: File) -> int:
    return _GRAPH_BYTES if isinstance(file, Graph) else _PROBES_BYTES if isinstance(file, Probes) else _OTHER_BYTES


def _check_files(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    described = {file.file: file.sha256 for file in manifest.files}
    actual = {name: sha256_of(content) for name, content in files.items()}
    if described != actual:
        differing = sorted(name for name, _ in described.items() ^ actual.items())
        raise PackageError(f"files and manifest do not agree about {', '.join(dict.fromkeys(differing))}")


def read_manifest(directory: Path) -> Manifest:
    """Reads a package's manifest. No other file is read.

    Raises:
        PackageError: there is no manifest, or it is too long, not a regular file or not understood.
    """
    source = directory / MANIFEST_FILE
    try:
        text = read_regular(source, _MANIFEST_BYTES)
    except ValueError as exc:
        raise PackageError(f"{source}: {exc}") from exc
    except OSError as exc:
        near = _package_near(directory)
        if near is not None:
            raise PackageError(f"{directory} is not a model package: try {near}") from exc
        raise PackageError(f"{directory} is not a model package: cannot read {MANIFEST_FILE}: {exc.strerror}") from exc
    return Manifest.parse(text, str(source))


def _package_near(path: Path) -> Path | None:
    """Returns the package that was probably meant: that of a run, or the one that a file of either lies beside."""
    folder = path if path.is_dir() else path.parent
    for near in (folder, folder / "model"):  # where a run keeps its package
        if near != path and (near / MANIFEST_FILE).is_file():
            return near
    return None


def _replaces_package(directory: Path, overwrite: bool) -> bool:
    """Whether there is a package to replace. False: the place is free. Raises PackageError."""
    if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
        return False
    if not (directory / MANIFEST_FILE).exists():
        raise PackageError(f"{directory} already exists and is not a model package")
    if not overwrite:
        raise PackageError(f"{directory} already exists; choose another directory")
    try:
        read_manifest(directory)
    except PackageError as exc:
        raise PackageError(f"{exc}; {directory} is not replaced: remove it by hand if nobody needs it") from exc
    return True
