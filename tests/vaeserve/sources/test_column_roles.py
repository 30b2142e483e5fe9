import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from vaeserve.errors import InvalidInput
from vaeserve.sources.column_roles import ColumnRoles
from vaeserve.sources.columns import csv_table, read_csv, read_parquet
from vaeserve.sources.content import Content
from vaeserve.sources.fitting import fit_table

ROWS = 12
HEADER = "id,age,kind,ward,height\n"


def line(number: int, kind: str, ward: str = "") -> str:
    return f"{number * 7 % 5},{number}.5,{kind},{ward or 'abc'[number % 3]},{number * number}\n"


def text(kinds: list[str]) -> str:
    return HEADER + "".join(line(number, kind) for number, kind in enumerate(kinds))


def read(folder: Path, content: str, roles: ColumnRoles, skip_bad: bool = False) -> Content:
    (folder / "it.csv").write_text(content)
    return read_csv(folder / "it.csv", skip_bad, roles)


def test_columns_of_classes_and_groups_and_dropped_ones_are_not_data(tmp_path: Path) -> None:
    kinds = [" ill" if number % 4 == 0 else "well " for number in range(ROWS)]
    found = read(tmp_path, text(kinds), ColumnRoles("kind", "ward", ("id",)))
    assert (found.columns, found.spec.columns) == (("age", "height"), ("age", "height"))
    np.testing.assert_array_equal(found.values[:, 0], np.arange(ROWS) + 0.5)
    assert found.classes == ("ill", "well")
    assert found.labels is not None
    assert found.groups is not None
    assert found.labels.tolist() == [int(number % 4 > 0) for number in range(ROWS)]
    assert found.groups.tolist() == [number % 3 for number in range(ROWS)]
    assert found.title == "it.csv: classes kind"
    # A server gets the same columns by their names, whatever else a file has.
    served = fit_table(csv_table(tmp_path / "it.csv", False), found.spec, False)
    np.testing.assert_array_equal(np.asarray(served.rows), found.values)


@pytest.mark.parametrize(
    ("kinds", "labels", "classes"),
    [
        (["0", "1.0", " 3 "] * 4, [0, 1, 3] * 4, ()),
        (["0.5", "1.5", "0.50"] * 4, [0, 1, 0] * 4, ("0.5", "1.5")),
        (["True", "False", "True"] * 4, [1, 0, 1] * 4, ("False", "True")),
        (["7", "none", "-"] * 4, [1, 2, 0] * 4, ("-", "7", "none")),
        (["9007199254740993", "9007199254740992"] * 6, [1, 0] * 6, ("9007199254740992", "9007199254740993")),
    ],
)
def test_whole_numbers_stay_and_all_else_are_names(
    tmp_path: Path, kinds: list[str], labels: list[int], classes: tuple[str, ...]
) -> None:
    found = read(tmp_path, text(kinds), ColumnRoles("kind", None, ("ward",)))
    assert found.labels is not None
    assert (found.labels.tolist(), found.classes) == (labels, classes)


def test_types_of_parquet_become_classes(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    columns = {
        "a": random.normal(size=8),
        "flag": [True, False] * 4,
        "day": pa.array(["mon", "tue"] * 4).dictionary_encode(),
        "grade": [1.0, 2.0] * 4,
        "whole": pa.array([5, 6] * 4, pa.int8()),
    }
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "it.parquet")
    expected = {"flag": [1, 0], "day": [0, 1], "grade": [1, 2], "whole": [5, 6]}
    for target, labels in expected.items():
        others = tuple(name for name in expected if name != target)
        found = read_parquet(tmp_path / "it.parquet", False, ColumnRoles(target, None, others))
        assert found.labels is not None
        assert found.labels.tolist() == labels * 4
        assert found.columns == ("a",)


def test_rows_without_a_class_or_a_group_are_bad(tmp_path: Path) -> None:
    kinds = ["x", "y", "nan", "", *["x", "y"] * 4]
    content = text(kinds).replace("1.5,y,b", "1.5,y,NA")
    roles = ColumnRoles("kind", "ward")
    said = (
        r"it\.csv: row 1: column 'ward', the --group-column, is missing \(the first row is 0\); 2 more faults; "
        r"--skip-bad leaves out what is bad \(3 of 12 rows\) and lists it"
    )
    with pytest.raises(InvalidInput, match=said):
        read(tmp_path, content, roles)
    found = read(tmp_path, content.replace("4.5,x,b,16", "oops,x,b,16"), roles, skip_bad=True)
    assert [each.partition(": ")[2][:6] for each in found.skipped] == ["row 1:", "row 2:", "row 3:", "row 4:"]
    assert found.labels is not None
    assert found.groups is not None
    assert len(found.values) == len(found.labels) == len(found.groups) == 8
    assert found.labels.tolist() == [0, 1, 0, 1, 0, 1, 0, 1]


def test_a_file_without_names_goes_by_numbers_and_says_what_a_server_cannot_know(tmp_path: Path) -> None:
    content = text(["0", "1", "2"] * 4).partition("\n")[2].replace("a,", "1,").replace("b,", "2,").replace("c,", "3,")
    found = read(tmp_path, content, ColumnRoles("2", None, ("3", "0")))
    assert found.values.shape == (12, 2)
    assert found.notes[0].endswith("has no names of columns: files for this model must come without column 0, 2, 3")


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        (ColumnRoles("kinds"), r"--target: .*it\.csv has no column 'kinds'; did you mean 'kind'\?"),
        (ColumnRoles("zz"), r"--target: .* has no column 'zz'; it has 'id', 'age', 'kind', 'ward', 'height'"),
        (ColumnRoles(group="wards"), "--group-column: .* has no column 'wards'; did you mean 'ward'"),
        (ColumnRoles(drop=("id", "Ward")), "--drop: .* has no column 'Ward'; did you mean 'ward'"),
        (ColumnRoles("kind", "kind"), "--group-column: .* column 'kind' is named twice, here and by --target"),
        (ColumnRoles("kind", None, ("id", "id")), "--drop: .* column 'id' is named twice, here and by --drop"),
        (ColumnRoles("kind", None, ("id", "age", "ward", "height")), "--drop: .*no column is left that is data"),
        (ColumnRoles("age"), r"--target: .*column 'age' has 12 different values in 12 rows, classes may be at most 6"),
        (ColumnRoles("same"), "--target: .* column 'same' is '1' in every row: classes must be two or more"),
        (ColumnRoles(group="same"), "--group-column: .* column 'same' is '1' in every row: a split needs two groups"),
    ],
)
def test_a_column_that_cannot_be_what_it_is_to_be_is_refused(tmp_path: Path, roles: ColumnRoles, said: str) -> None:
    content = text(["x", "y", "x"] * 4)
    if "same" in (roles.target, roles.group):
        content = "".join(f"{row},{'1' if place else 'same'}\n" for place, row in enumerate(content.splitlines()))
    with pytest.raises(InvalidInput, match=said) as raised:
        read(tmp_path, content, roles)
    assert "\n" not in str(raised.value)


def test_a_continuous_target_is_refused_however_many_rows_there_are(tmp_path: Path) -> None:
    table = io.StringIO()
    np.savetxt(table, np.random.default_rng(0).normal(size=(300, 2)), delimiter=",", header="a,price", comments="")
    with pytest.raises(InvalidInput, match="'price' has 300 different values in 300 rows, classes may be at most 100"):
        read(tmp_path, table.getvalue(), ColumnRoles("price"))


def test_numbers_that_are_written_in_two_ways_are_one_class_and_one_group(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"^--target: .*column 'kind' is '1' in every row: classes must be"):
        read(tmp_path, text(["1", "1.0"] * 6), ColumnRoles("kind", None, ("ward",)))
    found = read(tmp_path, text(["1", "1.0", "02", "2"] * 3), ColumnRoles(None, "kind", ("ward",)))
    assert found.groups is not None
    assert found.groups.tolist() == [0, 0, 1, 1] * 3
