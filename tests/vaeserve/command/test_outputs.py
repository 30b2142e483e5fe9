"""Where results go: files and standard output, and what is refused before any work is done."""

import argparse
import io
import os
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import Streams
from vaeserve.command.outputs import (
    STANDARD,
    ResultFile,
    add_output_options,
    check_cells,
    count_rows,
    output_of,
    parse_standard_input,
    read_standard_input,
    tell_rows,
)
from vaeserve.errors import InvalidInput
from vaeserve.files import parse_array
from vaeserve.sources.pictures import FittedRows

ROWS = np.arange(6, dtype=np.float32).reshape(2, 3)


def read_options(*arguments: str) -> ResultFile:
    parser = argparse.ArgumentParser()
    add_output_options(parser, "rows", "npy", "npz")
    return output_of(parser, parser.parse_args(arguments))


def test_the_ending_of_a_file_is_its_format() -> None:
    assert read_options("--out", "x.npz") == ResultFile(Path("x.npz"), ".npz", ("npy", "npz"))
    assert read_options("--out", "-") == ResultFile(STANDARD, ".npy", ("npy", "npz"))
    assert read_options("--out", "-", "--format", "npz").suffix == ".npz"


def test_a_format_is_only_for_standard_output(capsys: Streams) -> None:
    with pytest.raises(SystemExit):
        read_options("--out", "x.npy", "--format", "npz")
    assert "--format is only for --out -; the ending of a file name says its format" in capsys.readouterr().err


def test_what_cannot_be_written_is_refused_beforehand(tmp_path: Path) -> None:
    read_options("--out", str(tmp_path / "x.npy")).check()
    with pytest.raises(InvalidInput, match=r"x\.csv: must end in \.npy or \.npz$"):
        read_options("--out", str(tmp_path / "x.csv")).check()
    with pytest.raises(InvalidInput, match="there is no directory"):
        read_options("--out", str(tmp_path / "absent" / "x.npy")).check()


def test_no_result_replaces_an_input(tmp_path: Path) -> None:
    read, other = tmp_path / "x.npy", tmp_path / "y.npy"
    read.write_bytes(b"rows")
    read_options("--out", str(other)).check(read)
    with pytest.raises(InvalidInput, match=r"x\.npy: is an input, which would be lost: choose another --out$"):
        read_options("--out", f"{tmp_path}/./x.npy").check(other, read)


def test_a_closed_standard_output_is_refused_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123  its name must be the one that `vae` opens
        monkeypatch.setattr("sys.stdout", nowhere)
        with pytest.raises(InvalidInput, match="there is no standard output to write to"):
            read_options("--out", "-").check()


def test_only_text_is_written_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdout", Terminal())
    ResultFile(STANDARD, ".csv", ("csv",)).check()
    with pytest.raises(InvalidInput, match=r"--out: - is a terminal, .*: redirect it"):
        read_options("--out", "-").check()


def test_only_an_archive_holds_more_than_rows(tmp_path: Path) -> None:
    read_options("--out", str(tmp_path / "x.npy")).write_rows(ROWS, None, seed=7)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), ROWS)
    read_options("--out", str(tmp_path / "x.npz")).write_rows(ROWS, None, seed=7, latent=None)
    assert set(np.load(tmp_path / "x.npz").files) == {"output", "seed"}


@pytest.mark.parametrize(
    ("rows", "seed", "said"),
    [
        (1, None, "latents of 1 row"),
        (2, None, "latents of 2 rows"),
        (2, 7, "latents of 2 rows, drawn with seed 7 from row 5"),
    ],
)
def test_rows_are_counted_in_words(rows: int, seed: int | None, said: str, capsys: Streams) -> None:
    tell_rows(read_options("--out", "z.npz"), "latents", FittedRows(ROWS[:rows]), seed, 5)
    assert capsys.readouterr() == (f"z.npz: {said}\n", "")
    assert (count_rows(0), count_rows(1)) == ("0 rows", "1 row")
    tell_rows(read_options("--out", "a\nb.npz"), "latents", FittedRows(ROWS), None, 0)
    assert capsys.readouterr().out == "a\\nb.npz: latents of 2 rows\n"


def test_what_was_left_out_is_listed_beside_the_result(capsys: Streams) -> None:
    rows = FittedRows(ROWS, skipped=("a.png: is broken",), notes=("columns are taken by name",))
    tell_rows(read_options("--out", "-"), "latents", rows, None, 0)
    assert capsys.readouterr() == (
        "",
        "columns are taken by name\nleft out 1:\n  a.png: is broken\nstandard output: latents of 2 rows\n",
    )


def test_a_picture_shows_no_more_rows_than_anyone_looks_at() -> None:
    picture = ResultFile(Path("x.png"), ".png", ("png",))
    check_cells(picture, 10_000)
    check_cells(read_options("--out", "x.npy"), 10_001)
    with pytest.raises(InvalidInput, match="at most 10,000 rows, not 10,001"):
        check_cells(picture, 10_001)


def test_standard_input_holds_something_that_can_be_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (None, io.TextIOWrapper(io.BytesIO(b""))):
        monkeypatch.setattr("sys.stdin", stream)
        with pytest.raises(InvalidInput, match=r"^standard input: is empty$"):
            read_standard_input()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"rows")))
    with pytest.raises(InvalidInput, match=r"^standard input: is not an? \.npy file"):
        parse_standard_input(read_standard_input(), parse_array)
