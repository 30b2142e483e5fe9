"""What verbs read: as far as possible before the model is known, and the rest when it is."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vaeserve.command.inputs import Input, open_input
from vaeserve.command.outputs import STANDARD
from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec

DIGITS = DataSpec(kind="image", shape=(4, 4, 1), dtype="uint8", minimum=0, maximum=16)
TABLE = DataSpec(kind="table", shape=(2,), dtype="float32", minimum=-10, maximum=10, columns=("a", "b"))
ROWS = np.arange(32, dtype=np.uint8).reshape(2, 4, 4, 1) % 17


def npy(rows: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, rows)
    return file.getvalue()


def from_standard_input(content: bytes, monkeypatch: pytest.MonkeyPatch) -> Input:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    return open_input([STANDARD], skip_bad=False)


def test_an_array_is_read_before_the_model_is_known(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(npy(ROWS))
    np.savez(tmp_path / "x.npz", ROWS)
    for name in ("x.npy", "x.npz"):
        given = open_input([tmp_path / name], skip_bad=False)
        np.testing.assert_array_equal(given.rows(DIGITS, skip_bad=False).rows, ROWS)
        with pytest.raises(InvalidInput, match=rf"{name}: .*shape"):
            given.rows(TABLE, skip_bad=False)


def test_columns_of_a_table_are_matched_by_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("b,a\n2,1\n4,bad\n6,5\n")
    with pytest.raises(InvalidInput, match=r"t\.csv"):
        open_input([tmp_path / "t.csv"], skip_bad=False).rows(TABLE, skip_bad=False)
    fitted = open_input([tmp_path / "t.csv"], skip_bad=True).rows(TABLE, skip_bad=True)
    np.testing.assert_array_equal(fitted.rows, np.array([[1, 2], [5, 6]], np.float32))
    assert fitted.numbers is not None
    assert fitted.numbers.tolist() == [0, 2]


def test_pictures_stay_as_they_are_if_the_model_does_not_say_how_to_fit_them(tmp_path: Path) -> None:
    Image.new("L", (4, 4), 9).save(tmp_path / "a.png")
    fitted = open_input([tmp_path], skip_bad=False).rows(DIGITS, skip_bad=False)
    assert fitted.rows == [(tmp_path / "a.png").read_bytes()]
    assert fitted.files == (tmp_path / "a.png",)


def test_standard_input_holds_an_array_or_one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    given = from_standard_input(npy(ROWS), monkeypatch)
    np.testing.assert_array_equal(given.rows(DIGITS, skip_bad=False).rows, ROWS)
    file = io.BytesIO()
    Image.new("L", (4, 4), 9).save(file, "PNG")
    picture = from_standard_input(file.getvalue(), monkeypatch).rows(DIGITS, skip_bad=False)
    assert (picture.rows, picture.files) == ([file.getvalue()], (Path("standard input"),))
    with pytest.raises(InvalidInput, match=r"^standard input: "):
        from_standard_input(b"a,b\n1,2\n", monkeypatch).rows(DIGITS, skip_bad=False)


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "t.csv", "t.parquet", "train-idx3-ubyte.gz"])
def test_a_file_of_rows_is_the_only_input(name: str) -> None:
    for paths in ([Path(name), Path("a.png")], [Path("a.png"), Path(name)]):
        with pytest.raises(InvalidInput, match=rf"^{name}: is a file of rows, which must be the only input$"):
            open_input(paths, skip_bad=False)
