"""Files of arrays -> their rows: `.npy`, `.npz`, IDX and `.safetensors`."""

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import BinaryIO

import numpy as np

from jobs.rows import SizedRows
from jobs.sources.chunks import ReadRows
from jobs.sources.contents import close_on_error
from jobs.sources.fitted import check_array, fit_rows, is_channels_first
from jobs.sources.npz_members import npz_arrays
from jobs.sources.safetensors_files import tensor_layout
from jobs.sources.stored_arrays import ArrayLayout, StoredArray
from vaeserve.files import NPY_MAGIC, AnyArray
from vaeserve.package.row_spec import LatentSpec, RowSpec
from vaeserve.rows.codes import CodesSpec
from vaeserve.sources.fitting import is_idx
from vaeserve.sources.idx import idx_shape, inflated
from vaeserve.sources.numpy_files import check_start, numpy_errors, read_header


class ArrayFile:
    """Rows of one file, of all its parts; see RowFile.

    Args:
        open_file: opens the file.
        name: its name, which says of what kind it is.
        called: what messages call it.
        spec: the model's rows.

    Raises:
        InvalidInput: named by `called`; it is damaged, or its rows have another shape or are not numbers.
    """

    def __init__(self, open_file: Callable[[], BinaryIO], name: str, called: str, spec: RowSpec) -> None:
        self._file = open_file()
        self._spec = spec
        self._called = called
        path = PurePosixPath(name)
        with close_on_error(self._file), numpy_errors(self._called):
            self._parts = (_idx if is_idx(path) else _OPENERS[path.suffix.lower()])(self._file, called, spec)
            for part in self._parts:
                check_array(part.shape, part.dtype, called, spec)
        self.sizes = tuple(_sized(part, spec) for part in self._parts) if spec.sizes else ()
        """See RowFile."""

    def count(self) -> int:
        """See RowFile."""
        with numpy_errors(self._called):
            for part in self._parts:
                part.check_end()
        return sum(part.shape[0] for part in self._parts)

    def read(self, start: int, stop: int) -> ReadRows:
        """See RowFile."""
        pieces, first, spec = [], 0, self._spec.smallest
        with numpy_errors(self._called):
            for part in self._parts:
                begin, end = max(start - first, 0), min(stop - first, part.shape[0])
                if begin < end:
                    spec = self._spec.at(self._spec.size_of(part.shape[1:]))
                    pieces.append(_rows(part.read(begin, end), spec))
                first += part.shape[0]
        rows, errors = fit_rows(np.concatenate(pieces or [spec.blank(0)]), spec)
        return ReadRows(rows, errors)

    def close(self) -> None:
        """See RowFile."""
        self._file.close()


def _sized(part: StoredArray, spec: RowSpec) -> SizedRows:
    """Returns how many rows an array has, and their size."""
    return SizedRows(part.shape[0], spec.size_of(part.shape[1:]))


def _rows(values: AnyArray, spec: RowSpec) -> AnyArray:
    """Returns rows of the model's shape; a table's whole numbers as training takes them, rounded to float32."""
    if values.dtype.kind in "iu" and len(spec.shape) == 1 and spec.dtype == "float32":
        values = values.astype(np.float32)
    if is_channels_first(values.shape, spec):
        return np.moveaxis(values, 1, 3)
    return values.reshape(-1, *spec.shape)


def _npy(file: BinaryIO, called: str, _: RowSpec) -> Sequence[StoredArray]:
    check_start(file, NPY_MAGIC)
    header = read_header(file)
    return [StoredArray(file, ArrayLayout(header.shape, header.dtype, file.tell(), header.is_fortran), called)]


def _npz(file: BinaryIO, called: str, spec: RowSpec) -> Sequence[StoredArray]:
    own = "latent" if isinstance(spec, LatentSpec) else "codes" if isinstance(spec, CodesSpec) else "output"
    return npz_arrays(file, called, own)


def _safetensors(file: BinaryIO, called: str, spec: RowSpec) -> Sequence[StoredArray]:
    key = "latents" if isinstance(spec, LatentSpec) else "codes" if isinstance(spec, CodesSpec) else "data"
    return [StoredArray(file, tensor_layout(file, key, called), called)]


def _idx(file: BinaryIO, called: str, _: RowSpec) -> Sequence[StoredArray]:
    content = inflated(file)
    shape = idx_shape(content, called, 3)
    return [StoredArray(content, ArrayLayout(shape, np.dtype(np.uint8), 4 + 4 * len(shape)), called)]


_OPENERS: dict[str, Callable[[BinaryIO, str, RowSpec], Sequence[StoredArray]]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".safetensors": _safetensors,
}
