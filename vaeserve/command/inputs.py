"""What verbs read: files, folders or standard input -> rows that fit a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vaeserve.client.caller_rows import as_rows
from vaeserve.command.outputs import STANDARD, parse_standard_input, read_standard_input
from vaeserve.errors import InvalidInput
from vaeserve.files import NPY_MAGIC, AnyArray, parse_array
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.sizes import PictureSize
from vaeserve.printable import printable
from vaeserve.rows.image_checks import check_image, takes_images
from vaeserve.rows.size_fit import SizeFit
from vaeserve.sources.array_fit import fit_array
from vaeserve.sources.fitting import fit_table, open_rows, reads_rows
from vaeserve.sources.numpy_files import npy_array
from vaeserve.sources.pictures import FittedRows, fit_picture, picture_files, read_rows
from vaeserve.sources.table import Table

_STANDARD_INPUT = "standard input"


class Input(NamedTuple):
    """An input, read as far as possible before the model is known: its name, and one of array to files."""

    name: str
    """What errors call the file of rows."""
    array: AnyArray | None = None
    table: Table | None = None
    content: bytes | None = None
    """Of a picture."""
    files: Sequence[Path] = ()
    """Of pictures."""
    notes: tuple[str, ...] = ()
    """One line for each thing to know about how the file was read."""

    def rows(self, spec: DataSpec, skip_bad: bool, fit: SizeFit = "exact") -> FittedRows:
        """Returns the rows, fitted as the model's training fitted them. Nothing is sent before all of them fit.

        Args:
            spec: the model's data.
            skip_bad: whether to leave out and list the pictures and rows that cannot be used.
            fit: how pictures are brought to a size that the model takes, if it takes many.

        Raises:
            InvalidInput: named by the path, or by the row; one does not fit the model, or pictures differ in size.
        """
        if fit != "exact":
            self._check_fit(spec)
        if self.array is not None:
            rows = fit_array(as_rows(self.array, self.name), spec, self.name)
            return FittedRows(spec.fit(rows, self.name), notes=self.notes)
        if self.table is not None:
            fitted = fit_table(self.table, spec, skip_bad)
            rows = spec.fit(as_rows(fitted.rows, self.name), self.name)
            return fitted._replace(rows=rows, notes=(*self.notes, *fitted.notes))
        if self.content is None:
            return _of_one_size(read_rows(self.files, spec, skip_bad, fit), spec, fit)
        row = fit_picture(self.content, _STANDARD_INPUT, spec, fit)
        return FittedRows([row] if isinstance(row, bytes) else row[None], (Path(_STANDARD_INPUT),))

    def _check_fit(self, spec: DataSpec) -> None:
        if spec.sizes is None:
            raise InvalidInput("--fit", f"is for models of many sizes; this one takes rows of shape {list(spec.shape)}")
        if self.array is not None or self.table is not None:
            raise InvalidInput("--fit", f"is for pictures; {self.name} is a file of rows, which are taken as they are")


def _of_one_size(pictures: FittedRows, spec: DataSpec, fit: SizeFit) -> FittedRows:
    """Returns pictures, whose rows one array can hold."""
    first: PictureSize | None = None
    if spec.sizes is not None and takes_images(spec):
        for file, content in zip(pictures.files, pictures.rows, strict=True):
            name = printable(file)
            size = check_image(content, name, spec, fit).size
            if first not in (None, size):
                others = f"{printable(pictures.files[0])} to {first}"
                raise InvalidInput(
                    name, f"comes to {size} pixels, {others}, and one array holds one size: see `vae job encode`"
                )
            first = size
    return pictures


def open_input(paths: Sequence[Path], skip_bad: bool) -> Input:
    """Reads a file of rows or standard input, or finds the pictures.

    Args:
        paths: one file of rows (`.npy`, `.npz`, `.csv`, `.parquet`, or IDX), `-`, or pictures and folders of them.
        skip_bad: whether to leave out and list lines of a file that cannot be read.

    Raises:
        InvalidInput: named by the path; it cannot be read, is not rows or pictures, or is rows beside other inputs.
    """
    if list(paths) == [STANDARD]:
        content = read_standard_input()
        is_array = content.startswith(NPY_MAGIC)
        if is_array:
            return Input(_STANDARD_INPUT, parse_standard_input(content, parse_array))
        return Input(_STANDARD_INPUT, content=content)
    name = printable(paths[0])
    if len(paths) == 1 and paths[0].suffix == ".npy":
        return Input(name, npy_array(paths[0]))
    if len(paths) == 1 and reads_rows(paths[0]):
        rows, notes = open_rows(paths[0], skip_bad)
        if isinstance(rows, Table):
            return Input(name, table=rows, notes=notes)
        return Input(name, rows, notes=notes)
    for path in paths[1:] and paths:
        if path.suffix == ".npy" or reads_rows(path):
            raise InvalidInput(printable(path), "is a file of rows, which must be the only input")
    return Input(name, files=picture_files(paths))
