"""`.csv` and `.parquet` files -> a table, through Arrow."""

import codecs
import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from itertools import chain
from pathlib import Path, PurePath
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from vaeserve.errors import InvalidInput
from vaeserve.printable import printable
from vaeserve.sources.cells import numbers_of, problem_of, texts_of
from vaeserve.sources.column_roles import DATA_ALONE, ColumnRoles, assign
from vaeserve.sources.content import Content
from vaeserve.sources.head import Head, read_head
from vaeserve.sources.precision import Loss, loss_of
from vaeserve.sources.room import refuse_too_large, room_for
from vaeserve.sources.table import Table, Texts, leave_out_bad, named, refusal, to_float32

CSV_BLOCK = 2**24  # bytes; no line can be longer
_CHUNK = 2**20


class RaggedRow(Protocol):
    """What Arrow tells of a row that has more or fewer cells than the first."""

    number: int
    """The first of the file is 1."""
    expected_columns: int
    actual_columns: int


def read_csv(path: Path, skip_bad: bool, roles: ColumnRoles = DATA_ALONE) -> Content:
    """Returns the good rows and columns of a `.csv` file, to train on.

    Args:
        path: the file.
        skip_bad: whether to leave out and list what cannot be used.
        roles: which columns are not data.

    Raises:
        InvalidInput: as `csv_table` and `column_roles.assign` do.
    """
    return _content(csv_table(path, skip_bad), path, skip_bad, roles)


def read_parquet(path: Path, skip_bad: bool, roles: ColumnRoles = DATA_ALONE) -> Content:
    """Returns the good rows and columns of a `.parquet` file, to train on, as `read_csv` does."""
    return _content(parquet_table(path), path, skip_bad, roles)


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

    with arrow_errors(path), path.open("rb") as file:
        check_text(iter(partial(file.read, _CHUNK), b""), printable(path))
        file.seek(0)
        head = read_head(file.read(CSV_BLOCK), printable(path))
        if not head.cells:
            raise InvalidInput(printable(path), "holds no rows")
        file.seek(head.start)
        cells = pyarrow.csv.read_csv(file, *csv_options(head, leave_out))
    first = 1 + head.is_header
    lines = [f"{printable(path)}: row {row.number - first}: {ragged_problem(row)}" for row in ragged]
    if lines and not skip_bad:
        raise refusal(printable(path), lines, " (the first row is 0)")
    numbers = np.delete(np.arange(len(cells) + len(ragged)), [row.number - 1 for row in ragged])[head.is_header :]
    names = head.cells if head.is_header else []
    table = _table(path, cells.slice(int(head.is_header)), numbers - head.is_header, names)
    return table._replace(skipped=tuple(lines), notes=(head.note,) if head.note else ())


def csv_options(
    head: Head, take_ragged: Callable[[RaggedRow], str], columns: Sequence[int] = ()
) -> tuple[pyarrow.csv.ReadOptions, pyarrow.csv.ParseOptions, pyarrow.csv.ConvertOptions]:
    """Returns how Arrow is to read a CSV file whose head is known. The first row that it reads is the head.

    Args:
        head: the head.
        take_ragged: is told of rows with more or fewer cells than the first, and answers "skip".
        columns: the places of the columns to read; none: all.
    """
    names = [f"f{place}" for place in columns or range(len(head.cells))]
    return (
        # One thread, so that Arrow tells the numbers of ragged rows.
        pyarrow.csv.ReadOptions(use_threads=False, block_size=CSV_BLOCK, autogenerate_column_names=True),
        pyarrow.csv.ParseOptions(delimiter=head.delimiter, newlines_in_values=True, invalid_row_handler=take_ragged),
        # All as text, so that an error can show what a cell holds.
        pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), include_columns=names),
    )


def ragged_problem(row: RaggedRow) -> str:
    """Returns what is wrong with a row that has more or fewer cells than the first."""
    return f"has {row.actual_columns} cells, not {row.expected_columns}"


def parquet_table(path: Path) -> Table:
    """Returns the table in a `.parquet` file.

    Raises:
        InvalidInput: named by the path; the file cannot be read, or holds no rows.
    """
    with arrow_errors(path), path.open("rb") as file:
        opened = pyarrow.parquet.ParquetFile(file)
        about = opened.metadata
        refuse_too_large(about.num_rows * about.num_columns, path)  # a byte a cell, at the very least
        cells = opened.read()
    return _table(path, cells, np.arange(len(cells)), cells.column_names)


@contextmanager
def arrow_errors(path: PurePath | str) -> Iterator[None]:
    """Turns what Arrow raises into an error that names the file, by its path or its URL."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, MemoryError, csv.Error) as exc:
        if isinstance(exc, OSError) and exc.strerror:
            raise InvalidInput(printable(path), f"cannot be read: {exc.strerror}") from exc
        detail = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        kind = PurePath(path).suffix
        raise InvalidInput(printable(path), f"is not an intact {kind} file: {printable(detail[:200])}") from exc


def check_text(chunks: Iterable[bytes], name: str) -> None:
    """Makes sure that all of a file is UTF-8. Arrow would not tell the line.

    Raises:
        InvalidInput: named by `name`; it is not.
    """
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    for chunk in chain(chunks, (b"",)):  # the last one tells of a letter that is cut
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as exc:
            line += exc.object.count(b"\n", 0, exc.start)
            raise InvalidInput(name, f"is not UTF-8 text: line {line}") from exc
        line += chunk.count(b"\n")


def _content(table: Table, path: Path, skip_bad: bool, roles: ColumnRoles) -> Content:
    assigned = assign(table, roles, skip_bad)
    good = leave_out_bad(assigned.data, skip_bad)
    labels, groups = (None if each is None else each[good.rows] for each in (assigned.classes.labels, assigned.groups))
    about = f": classes {printable(roles.target)}" if roles.target else ""
    return good.content(printable(path.name) + about)._replace(
        labels=labels, classes=assigned.classes.names, groups=groups
    )


def _table(path: Path, cells: pa.Table, numbers: npt.NDArray[np.intp], names: list[str]) -> Table:
    """Returns cells as numbers; columns go by their number where there are no names."""

    def problem(row: int, column: int) -> str:
        return problem_of(cells.column(column)[row])

    @cache
    def texts(column: int) -> Texts:
        with arrow_errors(path):
            return texts_of(cells.column(column))

    if not cells.num_rows or not cells.num_columns:
        raise InvalidInput(printable(path), "holds no rows")
    columns = named(names, printable(path)) if names else tuple(range(cells.num_columns))
    values = room_for((len(cells), len(columns)), np.float32, path)
    losses = dict[int, Loss]()
    for place, column in enumerate(cells.columns):
        with arrow_errors(path):
            wide = numbers_of(column)
        values[:, place] = to_float32(wide)
        if (loss := loss_of(wide)) is not None:
            losses[place] = loss
    return Table(printable(path), columns, values, numbers, problem, texts, losses)
