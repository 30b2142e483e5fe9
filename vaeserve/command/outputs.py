"""Where verbs write their results: files, or standard output. `-` names the standard streams."""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypeVar

from vaeserve.errors import InvalidInput
from vaeserve.printable import printable

if TYPE_CHECKING:
    from vaeserve.client.description import Model
    from vaeserve.files import Value
    from vaeserve.package.data_spec import DataSpec
    from vaeserve.package.row_spec import Array
    from vaeserve.rows.size_fit import PicturePlace
    from vaeserve.sources.pictures import FittedRows

Parsed = TypeVar("Parsed")

_PICTURE_ROWS = 10_000  # more than anyone looks at

STANDARD = Path("-")
"""Names the standard streams."""


class ResultFile(NamedTuple):
    """The file or standard output that a result is written to."""

    path: Path
    suffix: str
    """Of the format that is written, for example `.npy`."""
    formats: tuple[str, ...]
    """The formats that the verb can write, without dots."""

    @property
    def is_stream(self) -> bool:
        """Whether it goes to standard output."""
        return self.path == STANDARD

    def check(self, *inputs: Path) -> None:
        """Makes sure that a result can be written, before any work is done for it.

        Args:
            *inputs: what the verb reads, which no result may replace.

        Raises:
            InvalidInput: named by the path; it has another ending, cannot be written, or is an input.
        """
        from vaeserve.files import check_suffix, check_writable

        if not self.is_stream:
            check_suffix(self.path, *(f".{name}" for name in self.formats))
            check_writable(self.path)
            if self.path.exists() and any(path.exists() and path.samefile(self.path) for path in inputs):
                raise InvalidInput(str(self.path), "is an input, which would be lost: choose another --out")
        elif getattr(sys.stdout, "name", "") == os.devnull:  # what `vae` opens if standard output was closed
            raise InvalidInput("--out", "- is closed: there is no standard output to write to")
        elif self.suffix != ".csv" and sys.stdout.isatty():
            raise InvalidInput("--out", "- is a terminal, and what would be written is not text: redirect it")

    def write(self, fill: Callable[[BinaryIO], object]) -> None:
        """Writes what `fill` writes into an open file. A file is written whole or not at all.

        Raises:
            InvalidInput: named by the path; the disk refuses it.
        """
        from vaeserve.files import write

        if not self.is_stream:
            return write(self.path, fill)
        whole = io.BytesIO()  # NumPy cannot write an archive into a pipe
        fill(whole)
        try:
            sys.stdout.buffer.write(whole.getbuffer())
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as exc:
            raise InvalidInput("standard output", str(exc.strerror)) from exc

    def write_arrays(self, **values: "Value") -> None:
        """Writes the values that are not None as a `.npz` file."""
        from vaeserve.files import save_arrays

        self.write(lambda file: save_arrays(file, **values))

    def write_rows(self, rows: "Array", spec: "DataSpec | None", **extras: "Value") -> None:
        """Writes rows: as a picture if there is a spec to draw by, else as an array. Only `.npz` holds the extras."""
        import numpy as np

        if spec is not None:
            from vaeserve.command.pictures import grid_png

            picture = grid_png(rows, spec)
            self.write(lambda file: file.write(picture))
        elif self.suffix == ".npy":
            self.write(lambda file: np.save(file, rows, allow_pickle=False))
        else:
            self.write_arrays(output=rows, **extras)

    def tell(self, text: str) -> None:
        """Prints what was written: on stderr if standard output holds the result."""
        name = "standard output" if self.is_stream else printable(self.path)
        print(f"{name}: {text}", file=sys.stderr if self.is_stream else sys.stdout)


def add_output_options(parser: argparse.ArgumentParser, about: str, *formats: str) -> None:
    """Adds `--out` and `--format`. The first of the formats is the default for standard output."""
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=f"{about}; -: standard output")
    parser.add_argument("--format", choices=formats, help=f"format for standard output (--out -); default {formats[0]}")
    parser.set_defaults(formats=formats)


def output_of(parser: argparse.ArgumentParser, options: argparse.Namespace) -> ResultFile:
    """Returns where a result goes; exits if the options contradict each other."""
    formats: tuple[str, ...] = options.formats
    if options.out == STANDARD:
        return ResultFile(STANDARD, f".{options.format or formats[0]}", formats)
    if options.format:
        parser.error("--format is only for --out -; the ending of a file name says its format")
    return ResultFile(options.out, options.out.suffix, formats)


def count_rows(count: int) -> str:
    """Returns "1 row", or "2 rows"."""
    return f"{count} row{'s' * (count != 1)}"


def tell_rows(out: ResultFile, what: str, data: "FittedRows", seed: int | None, first_row: int) -> None:
    """Prints what was written, after a list on stderr of what was left out."""
    for note in data.notes:
        print(note, file=sys.stderr)
    if data.skipped:
        print(f"left out {len(data.skipped)}:", *data.skipped, sep="\n  ", file=sys.stderr)
    draw = "" if seed is None else f", drawn with seed {seed} from row {first_row}"
    out.tell(f"{what} of {count_rows(len(data.rows))}{draw}")


def check_cells(out: ResultFile, rows: int) -> None:
    """Refuses a picture of more rows than anyone looks at. Raises InvalidInput."""
    if out.suffix == ".png" and rows > _PICTURE_ROWS:
        raise InvalidInput(
            str(out.path), f"a picture shows at most {_PICTURE_ROWS:,} rows, not {rows:,}; write a .npy file"
        )


def picture_spec(out: ResultFile, model: "Model", rows: "Array") -> "DataSpec | None":
    """Returns what rows of the model's data are, in whose range a picture is drawn. None: no picture is drawn."""
    return model.data.at(model.data.size_of(rows.shape[1:])) if out.suffix == ".png" else None


def places_array(places: "Sequence[PicturePlace]") -> "Array | None":
    """Returns where pictures lie in their rows, [rows, 4]: height, width, top, left. None: none was fitted."""
    import numpy as np

    return np.array([(*place.size, place.top, place.left) for place in places], np.int64) if places else None


def read_standard_input() -> bytes:
    """Returns all of standard input.

    Raises:
        InvalidInput: it is empty.
    """
    content = b"" if sys.stdin is None else sys.stdin.buffer.read()
    if not content:
        raise InvalidInput("standard input", "is empty")
    return content


def parse_standard_input(content: bytes, parse: Callable[[BinaryIO], Parsed]) -> Parsed:
    """Returns what standard input holds. Raises InvalidInput if it cannot be parsed."""
    try:
        return parse(io.BytesIO(content))
    except ValueError as exc:
        raise InvalidInput("standard input", str(exc)) from exc
