"""`.csv` and `.parquet` files -> a table, through Arrow."""

import codecs
import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from vaeserve.errors import InvalidInput
from vaeserve.files import AnyArray
from vaeserve.printable import printable
from vaeserve.sources.content import Content, refuse_too_large, room_for
from vaeserve.sources.head import number_of, read_head
from vaeserve.sources.names import quoted
from vaeserve.sources.precision import Loss, loss_of
from vaeserve.sources.table import Table, leave_out_bad, named, number_problem, refusal, to_float32

_MISSING = frozenset(("na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "?"))
_SEPARATED = re.compile(r"[+-]?\d[\d.,'\s]*")
_BLOCK = 2**24  # bytes; no line can be longer
_CHUNK = 2**20


class RaggedRow(Protocol):
    """What Arrow tells of a row that has more or fewer cells than the first."""

    number: int
    """The first of the file is 1."""
    expected_columns: int
    actual_columns: int


def read_csv(path: Path, skip_bad: bool) -> Content:
    """Returns the good rows and columns of a `.csv` file, to train on. Raises InvalidInput as `csv_table` does."""
    return leave_out_bad(csv_table(path, skip_bad), skip_bad).content(printable(path.name))


def read_parquet(path: Path, skip_bad: bool) -> Content:
    """Returns the good rows and columns of a `.parquet` file, to train on. Raises InvalidInput as `parquet_table`."""
    return leave_out_bad(parquet_table(path), skip_bad).content(printable(path.name))


def csv_table(path: Path, skip_bad: bool) -> Table:
    """Returns the table in a `.csv` file: UTF-8; commas, semicolons or tabs; a first line of names, or none.

    Args:
        path: the file.
        skip_bad: whether to leave out and list lines that have more or fewer cells than the first.

    Raises:
        InvalidInput: named by the path; the file cannot be read or holds no rows, or a line has more or fewer cells
            than the first and `skip_bad` is not set.
    """
    ragged: list[RaggedRow] = []

    def leave_out(row: RaggedRow) -> str:
        ragged.append(row)
        return "skip"

    with _translated(path), path.open("rb") as file:
        _check_text(file, printable(path))
        head = read_head(file.read(_BLOCK), printable(path))
        if not head.cells:
            raise InvalidInput(printable(path), "holds no rows")
        file.seek(head.start)
        cells = pyarrow.csv.read_csv(
            file,
            # One thread, so that Arrow tells the numbers of ragged rows.
            pyarrow.csv.ReadOptions(use_threads=False, block_size=_BLOCK, autogenerate_column_names=True),
            pyarrow.csv.ParseOptions(delimiter=head.delimiter, newlines_in_values=True, invalid_row_handler=leave_out),
            # All as text, so that an error can show what a cell holds.
            pyarrow.csv.ConvertOptions(column_types={f"f{place}": pa.string() for place in range(len(head.cells))}),
        )
    first = 1 + head.is_header
    lines = [
        f"{printable(path)}: row {row.number - first}: has {row.actual_columns} cells, not {row.expected_columns}"
        for row in ragged
    ]
    if lines and not skip_bad:
        raise refusal(printable(path), lines, " (the first row is 0)")
    numbers = np.delete(np.arange(len(cells) + len(ragged)), [row.number - 1 for row in ragged])[head.is_header :]
    names = head.cells if head.is_header else []
    table = _table(path, cells.slice(int(head.is_header)), numbers - head.is_header, names)
    return table._replace(skipped=tuple(lines), notes=(head.note,) if head.note else ())


def parquet_table(path: Path) -> Table:
    """Returns the table in a `.parquet` file.

    Raises:
        InvalidInput: named by the path; the file cannot be read, or holds no rows.
    """
    with _translated(path), path.open("rb") as file:
        opened = pyarrow.parquet.ParquetFile(file)
        about = opened.metadata
        refuse_too_large(about.num_rows * about.num_columns, path)  # a byte a cell, at the very least
        cells = opened.read()
    return _table(path, cells, np.arange(len(cells)), cells.column_names)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turns what Arrow raises into an error that names the file."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, MemoryError, csv.Error) as exc:
        if isinstance(exc, OSError) and exc.strerror:
            raise InvalidInput(printable(path), f"cannot be read: {exc.strerror}") from exc
        detail = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        raise InvalidInput(printable(path), f"is not an intact {path.suffix} file: {printable(detail[:200])}") from exc


def _check_text(file: BinaryIO, name: str) -> None:
    """Makes sure that all of a file is UTF-8, and leaves it at its start. Arrow would not tell the line."""
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    for chunk in chain(iter(partial(file.read, _CHUNK), b""), (b"",)):  # the last one tells of a letter that is cut
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as exc:
            line += exc.object.count(b"\n", 0, exc.start)
            raise InvalidInput(name, f"is not UTF-8 text: line {line}") from exc
        line += chunk.count(b"\n")
    file.seek(0)


def _table(path: Path, cells: pa.Table, numbers: npt.NDArray[np.intp], names: list[str]) -> Table:
    """Returns cells as numbers; columns go by their number where there are no names."""

    def problem(row: int, column: int) -> str:
        return _problem(cells.column(column)[row])

    if not cells.num_rows or not cells.num_columns:
        raise InvalidInput(printable(path), "holds no rows")
    columns = named(names, printable(path)) if names else tuple(range(cells.num_columns))
    values = room_for((len(cells), len(columns)), np.float32, path)
    losses = dict[int, Loss]()
    for place, column in enumerate(cells.columns):
        with _translated(path):
            wide = _numbers(column)
        values[:, place] = to_float32(wide)
        if (loss := loss_of(wide)) is not None:
            losses[place] = loss
    return Table(printable(path), columns, values, numbers, problem, losses)


def _numbers(column: pa.ChunkedArray) -> AnyArray:
    """Returns a column's numbers, float64 [rows], with NaN for what is missing or no number."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        try:
            return _float64(pa.compute.utf8_trim_whitespace(column))
        except pa.ArrowInvalid:
            return np.array([number_of(cell or "") for cell in column.to_pylist()])
    if (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    ):
        return _float64(column)
    return np.full(len(column), np.nan)


def _float64(column: pa.ChunkedArray) -> AnyArray:
    values: AnyArray = pa.compute.cast(column, pa.float64(), safe=False).to_numpy()
    return values


def _problem(cell: pa.Scalar) -> str:
    """Returns what is wrong with a cell that holds no number."""
    try:
        value = cell.as_py()
    except (pa.ArrowException, ValueError, OverflowError):  # a time that Python cannot tell, for example
        return f"holds {cell.type}, no number"
    if value is None or (isinstance(value, str) and not value.strip()):
        return "is missing"
    if isinstance(value, str):
        return _problem_of_text(value)
    if pa.types.is_temporal(cell.type):
        return f"holds {quoted(str(value))}, no number: turn times into numbers, such as days from a first one"
    try:
        return number_problem(float(value))
    except (TypeError, ValueError, OverflowError):
        return f"holds {quoted(str(value))}, no number"


def _problem_of_text(text: str) -> str:
    if text.strip().lower() in _MISSING:
        return f"is missing ({quoted(text.strip())})"
    if np.isfinite(number := number_of(text)):
        return number_problem(number)
    if _SEPARATED.fullmatch(text.strip()):
        return f"holds {quoted(text)}: write numbers with a decimal point and without separators of thousands"
    return f"holds {quoted(text)}"
