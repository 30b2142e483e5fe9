import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec
from vaeserve.sources.fitting import fit_table, open_rows, reads_rows
from vaeserve.sources.pictures import FittedRows
from vaeserve.sources.table import Table

NAMED = DataSpec(
    kind="table", shape=(2,), dtype="float32", minimum=-100, maximum=100, columns=("age", "weight, kg"), image_fit=None
)
NAMELESS = NAMED.model_copy(update={"columns": ()})
GAPPY = NAMED.model_copy(update={"missing_allowed": True})


def fit(path: Path, spec: DataSpec, skip_bad: bool = False) -> FittedRows:
    rows = open_rows(path, skip_bad).rows
    assert isinstance(rows, Table)
    return fit_table(rows, spec, skip_bad)


def read(path: Path, spec: DataSpec) -> np.ndarray:
    rows = fit(path, spec).rows
    assert isinstance(rows, np.ndarray)
    return rows


def csv(folder: Path, text: str) -> Path:
    path = folder / "it.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "is_read"), [("a.csv", 1), ("a.PARQUET", 1), ("t10k-images-idx3-ubyte.gz", 1), ("a.png", 0)]
)
def test_files_of_rows_are_known_by_their_names(name: str, is_read: bool) -> None:
    assert reads_rows(Path("folder") / name) == is_read


def test_columns_are_taken_by_name_in_the_models_order(tmp_path: Path) -> None:
    path = csv(tmp_path, 'id,"weight, kg",note,age\n7,80,tall,41\n9,55,short,17\n')
    assert read(path, NAMED).tolist() == [[41, 80], [17, 55]]
    pa.parquet.write_table(pa.table({"weight, kg": [80], "age": [41]}), tmp_path / "it.parquet")
    assert read(tmp_path / "it.parquet", NAMED).tolist() == [[41, 80]]


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = csv(tmp_path, "age,weight\n41,80\n")
    said = rf"^{path}: has no column 'weight, kg', which the model takes; it has 'age', 'weight'$"
    with pytest.raises(InvalidInput, match=said):
        read(path, NAMED)


def test_without_names_the_number_of_columns_decides(tmp_path: Path) -> None:
    assert read(csv(tmp_path, "41,80\n17,55\n"), NAMED).tolist() == [[41, 80], [17, 55]]
    assert read(csv(tmp_path, "a,b\n41,80\n"), NAMELESS).tolist() == [[41, 80]]
    indexed = csv(tmp_path, "index,a,b\n0,41,80\n1,17,55\n2,3,4\n")
    assert read(indexed, NAMELESS).tolist() == [[41, 80], [17, 55], [3, 4]]
    with pytest.raises(InvalidInput, match=r"it\.csv: has 3 columns, the model takes 2$"):
        read(csv(tmp_path, "5,41,80\n"), NAMED)


BAD = "age,weight,other\n41,80,x\nold,55,y\n3\n,4,z\n500,6,z\n17,55,z\n"


def test_bad_rows_are_refused_or_left_out_and_listed(tmp_path: Path) -> None:
    spec = NAMED.model_copy(update={"columns": ("age", "weight")})
    path = csv(tmp_path, BAD)
    with pytest.raises(InvalidInput, match=r"it\.csv: row 2: has 1 cells, not 3 \(the first row is 0\)"):
        read(path, spec)
    fitted = fit(path, spec, skip_bad=True)
    np.testing.assert_array_equal(fitted.rows, [[41, 80], [17, 55]])
    assert fitted.numbers is not None
    assert fitted.numbers.tolist() == [0, 5]
    assert fitted.skipped == (
        f"{path}: row 2: has 1 cells, not 3",
        f"{path}: row 1: column 'age' holds 'old'",
        f"{path}: row 3: column 'age' is missing",
        f"{path}: row 4: column 'age' is 500, must lie in [-100, 100]",
    )
    path = csv(tmp_path, "age,weight\n41,80\nold,55\n")
    with pytest.raises(InvalidInput, match=r"row 1: column 'age' holds 'old' \(the first row is 0\); --skip-bad"):
        read(path, spec)
    with pytest.raises(InvalidInput, match=r"none of 1 rows can be used: \S+: row 0: column 'age' holds 'old'"):
        fit(csv(tmp_path, "age,weight\nold,55\n"), spec, skip_bad=True)


def test_where_cells_may_be_missing_words_are_still_refused(tmp_path: Path) -> None:
    spec = GAPPY.model_copy(update={"columns": ("age", "weight")})
    np.testing.assert_array_equal(read(csv(tmp_path, "age,weight\n41,\nnan,5\n"), spec), [[41, np.nan], [np.nan, 5]])
    with pytest.raises(InvalidInput, match="column 'age' holds 'old'"):
        read(csv(tmp_path, "age,weight\nold,55\n"), spec)


def test_a_table_does_not_fit_a_model_of_images(tmp_path: Path) -> None:
    spec = DataSpec(kind="image", shape=(2, 2, 1), dtype="uint8", minimum=0, maximum=255)
    with pytest.raises(InvalidInput, match=r"it\.csv: holds a table, the model takes images of shape \[2, 2, 1\]$"):
        read(csv(tmp_path, "a,b\n1,2\n"), spec)


def test_archives_hold_images_or_a_table_all_parts_in_order(tmp_path: Path) -> None:
    path = tmp_path / "it.npz"
    np.savez(path, test=np.full((1, 2, 2), 2, np.uint8), train=np.ones((3, 2, 2), np.uint8))
    images = open_rows(path, False).rows
    assert isinstance(images, np.ndarray)
    assert images[:, 0, 0, 0].tolist() == [1, 1, 1, 2]
    assert images.shape == (4, 2, 2, 1)
    np.savez(path, X=np.array([[1.0, 2], [3, 4]]))
    assert read(path, NAMED).tolist() == [[1, 2], [3, 4]]


def test_images_of_mnists_format_get_a_channel(tmp_path: Path) -> None:
    content = bytes((0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4))
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(content))
    images = open_rows(path, False).rows
    assert isinstance(images, np.ndarray)
    assert images.tolist() == [[[[1], [2]], [[3], [4]]]]


def test_a_base_install_says_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "vaeserve.sources.columns", None)
    with pytest.raises(InvalidInput, match=r"it\.csv: needs .*: pip install pyarrow, or give a \.npy or \.npz file$"):
        open_rows(csv(tmp_path, "a\n1\n"), False)
