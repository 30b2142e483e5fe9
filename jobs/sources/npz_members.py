"""The arrays in a `.npz` file that are rows, where they lie."""

import zipfile
from typing import IO, BinaryIO

from jobs.sources.stored_arrays import ArrayLayout, StoredArray
from vaeserve.errors import InvalidInput
from vaeserve.printable import printable
from vaeserve.sources.archive import choose
from vaeserve.sources.numpy_files import check_start, read_header, stored_at


def npz_arrays(file: BinaryIO, called: str, own: str) -> list[StoredArray]:
    """Returns the arrays of rows: those to train on, to validate on and to test on, as far as there are such.

    A compressed array is read from its start up to the rows asked for, unless the last read ended before them.

    Args:
        file: an open archive.
        called: what messages call it.
        own: what the commands call such rows in files that they write.

    Raises:
        InvalidInput: named by `called`; it is not clear which array to take, or one cannot be read in part.
        ValueError: the archive is damaged; so do others of `vaeserve.files.MALFORMED`.
    """
    check_start(file, b"PK")
    archive = zipfile.ZipFile(file)
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    chosen = choose([*members], called, own).taken.values()
    return [_array(file, archive, members[part.rows], f"{called}: {printable(part.rows)}") for part in chosen]


def _array(file: BinaryIO, archive: zipfile.ZipFile, info: zipfile.ZipInfo, called: str) -> StoredArray:
    content: IO[bytes] = archive.open(info)
    shape, is_fortran, dtype = read_header(content)
    layout = ArrayLayout(shape, dtype, content.tell(), is_fortran)
    if layout.start + layout.bytes != info.file_size:
        raise ValueError("is cut short")
    if info.compress_type == zipfile.ZIP_STORED:
        return StoredArray(file, layout._replace(start=stored_at(file, info) + layout.start, is_within=True), called)
    if is_fortran and len(shape) > 1:
        problem = "is compressed column by column, which cannot be read in part: save np.ascontiguousarray of it"
        raise InvalidInput(called, problem)
    return StoredArray(content, layout, called)
