import io
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vaeserve.errors import InvalidInput
from vaeserve.sources.columns import read_csv, read_parquet
from vaeserve.sources.content import Content

Read = Callable[..., Content]
ROWS = np.array([[1, 2.5], [-3e4, 4], [5, 6]], np.float32)


@pytest.fixture
def csv(tmp_path: Path) -> Read:
    """Reads text, or bytes, as a .csv file."""

    def read(content: str | bytes, skip_bad: bool = False) -> Content:
        path = tmp_path / "it.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_csv(path, skip_bad)

    return read


@pytest.fixture
def parquet(tmp_path: Path) -> Read:
    def read(columns: dict[str, list[object]], skip_bad: bool = False) -> Content:
        pyarrow.parquet.write_table(pa.table(columns), tmp_path / "it.parquet")
        return read_parquet(tmp_path / "it.parquet", skip_bad)

    return read


@pytest.mark.parametrize(
    "text",
    [
        "1,2.5\n-3e4,4\n5,6\n",
        "a,b\n1,2.5\n-3e4,4\n5,6",
        "a;b\r\n1;2.5\r\n-3e4;4\r\n5;6\r\n",
        "a\tb\n 1\t2.5 \n-3e4\t4\n5\t6\n",
        '"a, or b","c\nd"\n1,"2.5"\n"-3e4",4\n\n5,6\n',
        "\ufeffa,b\n1,2.5\n-3e4,4\n5,6\n",
        "\ufeff1,2.5\n-3e4,4\n5,6\n",
        "\n \r\n;;\na;b\n1;2.5\n-3e4;4\n5;6\n",
        "\ufeff\n,,\n1,2.5\n-3e4,4\n5,6\n",
        "a, b \n1,2.5\n-3e4,4\n5,6\n",
        'a;"b, with a comma"\n1;2.5\n-3e4;4\n5;6\n',
        "a,b,\n1,2.5,\n-3e4,4,\n5,6,\n",
        ",a,b\n0,1,2.5\n1,-3e4,4\n2,5,6\n",
        '"","a","b"\n"1",1,2.5\n"2",-3e4,4\n"3",5,6\n',
        "Unnamed: 0,a,b\n0,1,2.5\n1,-3e4,4\n2,5,6\n",
        "a,index,b\n1,0,2.5\n-3e4,1,4\n5,2,6\n",
        "0,1,2.5\n1,-3e4,4\n2,5,6\n",
        ",0,1\n0,1,2.5\n1,-3e4,4\n2,5,6\n",
        "0,1\n1,2.5\n-3e4,4\n5,6\n",
    ],
)
def test_tables_are_read_in_the_spellings_that_are_in_use(csv: Read, text: str) -> None:
    content = csv(text)
    np.testing.assert_array_equal(content.values, ROWS, strict=True)
    assert (content.spec.kind, content.spec.shape, content.family) == ("table", (2,), "gaussian")


def test_columns_are_called_by_name_or_number(csv: Read) -> None:
    assert csv("a,b\n1,2\n").columns == ("a", "b")
    assert csv("a,b\n1,2\n").spec.columns == ("a", "b")
    assert csv("1,2\n").columns == (0, 1)
    assert csv("1,2\n").spec.columns == ()
    assert csv("\ufeffa,b\n1,2\n").columns[0] == "a"
    assert csv(" a ,b\n1,2\n").columns == ("a", "b")
    assert csv("a,b,\n1,2,\n").spec.columns == ("a", "b")


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("0,1,2\n5,3,1\n7,1,2\n", ("0", "1", "2"), 2),  # as pandas writes columns without names
        ("1,2,3\n5,3,1\n", ("1", "2", "3"), 1),
        ("2019,2020,2021,2022\n5,3,1,2\n", ("2019", "2020", "2021", "2022"), 1),
        ("400.5,401.0,401.5,402\n.5,.3,.1,.2\n", ("400.5", "401.0", "401.5", "402"), 1),
        ("0,1\n0.25,3\n", ("0", "1"), 1),
        ("0,1\n1,0\n", (0, 1), 2),  # all are whole: rows
        ("0,1,2\n3,4,5\n", (0, 1, 2), 2),  # all count: rows
        ("5,6,8\n3,1,4\n", (0, 1, 2), 2),
        ("5,7,9\n3,1,4\n", (0, 1, 2), 2),
        ("3,2,1\n3,1,4\n", (0, 1, 2), 2),
    ],
)
def test_a_first_line_of_numbers_that_count_is_names(
    csv: Read, text: str, names: tuple[str | int, ...], rows: int
) -> None:
    content = csv(text)
    assert (content.columns, len(content.values)) == (names, rows)
    said = "; if it is a row, put a line of names above it"
    assert [note[-len(said) :] for note in content.notes] == [said] * isinstance(names[0], str)


@pytest.mark.parametrize("text", ["True,2\nfalse,3\nTRUE,4\n", "a,b\ntrue,2\nFalse,3\ntrue,4\n"])
def test_true_and_false_are_numbers(csv: Read, text: str) -> None:
    assert csv(text).values.tolist() == [[1, 2], [0, 3], [1, 4]]


def test_what_is_left_out_or_may_have_to_be_is_told(csv: Read) -> None:
    content = csv(",a\n0,5\n1,7\n2,9\n")
    assert [line.partition("it.csv: ")[2] for line in content.skipped] == [
        "column 0 counts the rows: an index is not data"
    ]
    content = csv("id,a\n1,5\n2,7\n3,9\n")
    assert content.values.shape == (3, 2)
    assert content.notes[0].endswith("column 'id' counts the rows: if it is an index, take it out")
    holes = csv("a,b,c\n" + "1,2,3\n" * 5 + "1,,3\n,,3\n4,5,6\n", skip_bad=True)
    assert holes.notes[0].endswith(
        "2 of 8 rows are left out, each because a cell has no number; cells by column: column 'b' 2, column 'a' 1"
    )


def test_float32_is_told_of_what_it_loses(csv: Read) -> None:
    times = [f"{1_700_000_000 + 30 * row},{row % 7}" for row in range(200)]
    with pytest.raises(
        InvalidInput,
        match=r"it\.csv: column 'time' keeps 48 of 200 distinct values in float32, which moves them by 0\.021 standard "
        r"deviations: subtract an offset first, for example its smallest value, 1700000000; --skip-bad leaves",
    ):
        csv("time,a\n" + "\n".join(times))
    left = csv("time,a\n" + "\n".join(times), skip_bad=True)
    assert (left.columns, left.values.shape, len(left.skipped)) == (("a",), (200, 1), 1)


def test_whole_numbers_that_turn_into_fractions_later_are_read(csv: Read) -> None:
    text = "a,b\n" + "1,2\n" * 200_000 + "0.5,7\n"
    assert csv(text).values[-1].tolist() == [0.5, 7]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n3,x\n", r"row 1: column 'b' holds 'x' \(the first row is 0\); --skip-bad leaves"),
        ("a,b\n1,2\n3,\n", r"row 1: column 'b' is missing"),
        ("1,2\n3,\n", r"row 1: column 1 is missing"),
        ("a,b\n1,2\n3,nan\n", r"row 1: column 'b' is missing \('nan'\)"),
        ("a,b\n1,2\n3,N/A\n", r"row 1: column 'b' is missing \('N/A'\)"),
        ("a,b\n1,2\n3,2e15\n", r"row 1: column 'b' is 2e\+15, beyond 1e\+15: divide the column by a constant"),
        (
            "a,b\n1,2e15\n3,2e16\n",
            r"column 'b' cannot be used in 2 of 2 rows: in row 0 it is 2e\+15, beyond 1e\+15: div",
        ),
        ("a,b\n1,2\n3,inf\n", r"row 1: column 'b' holds 'inf'"),
        ('a,b\n1,2\n3,"1,234"\n', r"row 1: column 'b' holds '1,234': write numbers with a decimal point and without"),
        ("1,5;2,5\n1,5;3,5\n", r"column '1,5' cannot be used .* holds '1,5': write numbers with a decimal point"),
        ("a;b\n1,5;2\n1,7;3\n", r"column 'a' cannot be used in 2 of 2 rows: in row 0 it holds '1,5': write numbers"),
        ("a,b,a\n1,2,3\n", "columns 0 and 2 are both called 'a': rename one$"),
        ("a,b, a\n1,2,3\n", "columns 0 and 2 are both called 'a': rename one$"),
        (",b\n1,2.5\n7,4\n5,6\n", "column 0 has no name, others have: name it, or take it out$"),
        ("\n\n", "holds no rows$"),
        ("\n \na,b\n1,2\n3,x\n", "row 1: column 'b' holds 'x'"),
        ("\n,\na,b\n1,2\n3\n", "row 1: has 1 cells, not 2"),
        ("a,b\n1,2\n1e400,1\n", r"row 1: column 'a' holds '1e400'"),
        ("a,b\n1,2\n3,1_0\n", r"row 1: column 'b' holds '1_0'"),
        ("a,b\n1,2\n3,٣\n", r"row 1: column 'b' holds '٣'"),
        ("a,b\nx,2\ny,3\n", r"column 'a' cannot be used in 2 of 2 rows: in row 0 it holds 'x'"),
        ("a,b\n1,2\n3\n4,5\n", r"row 1: has 1 cells, not 2 \(the first row is 0\); --skip-bad"),
        ("1,2\n3,4,5\n6,7,8\n", r"row 1: has 3 cells, not 2 \(the first row is 0\); 1 more fault; --skip-bad"),
        ("a,2\n1,2\n", r"its first line holds names \('a'\) and numbers \('2'\)"),
        ("", "holds no rows$"),
        (b"a,b\n1,\xff\n", "is not UTF-8 text: line 2$"),
        (b"a,b\n" + b"1,2\n" * 2**19 + b"3\xff\n", f"is not UTF-8 text: line {2**19 + 2}$"),
        (b"a,b\n1,\xe2\x82", "is not UTF-8 text: line 2$"),
        (b"a,b\n1,2,3\xe2\x82", "is not UTF-8 text: line 2$"),
        ("a,b\n1,2\n".encode("utf-16"), "is not UTF-8 text: line 1$"),
    ],
)
def test_what_is_refused_is_named_by_row_and_column(csv: Read, text: str | bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=rf"^\S*/it\.csv: {said}"):
        csv(text)


def test_what_is_skipped_is_listed_by_its_place_in_the_file(csv: Read) -> None:
    content = csv("a,name,b\n1,2\n1,Ann,2\n3,Bob,\n4,Cy,5,6\n7,Di,8\nx,Ed,9\n", skip_bad=True)
    assert content.values.tolist() == [[1, 2], [7, 8]]
    assert content.columns == ("a", "b")
    assert [line.partition("it.csv: ")[2] for line in content.skipped] == [
        "row 0: has 2 cells, not 3",
        "row 3: has 4 cells, not 3",
        "column 'name' cannot be used in 4 of 4 rows: in row 1 it holds 'Ann'",
        "row 2: column 'b' is missing",
        "row 5: column 'a' holds 'x'",
    ]


def test_parquet_holds_numbers_of_several_types(parquet: Read) -> None:
    content = parquet(
        {"a": [1, 2], "b": [0.5, 1.5], "c": [True, False], "d": [Decimal("1.25"), Decimal(3)], "e": ["7", "8"]}
    )
    assert content.values.tolist() == [[1, 0.5, 1, 1.25, 7], [2, 1.5, 0, 3, 8]]
    assert content.columns[0] == "a"


def test_parquet_categories_are_read_as_what_they_stand_for(parquet: Read) -> None:
    content = parquet({"a": pa.array(["1.5", "2", "1.5"]).dictionary_encode(), "__index_level_0__": [0, 1, 2]})
    assert (content.values.tolist(), content.columns) == ([[1.5], [2], [1.5]], ("a",))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"a": [1, 2], "b": [1, None]}, "row 1: column 'b' is missing"),
        ({"a": [1, 2], "b": [1.0, float("inf")]}, "row 1: column 'b' is inf"),
        ({"a": [1, 2], "b": [1, 2**60]}, r"row 1: column 'b' is 1\.15292e\+18, beyond 1e\+15"),
        (
            {"a": [1, 2], "b": [date(2020, 1, 1)] * 2},
            "column 'b' cannot be used in 2 of 2 rows: .* '2020-01-01', no number",
        ),
        ({"a": [1, 2], "b": [[1, 2], [3]]}, r"column 'b' cannot be used in 2 of 2 rows: in row 0 it holds '\[1, 2\]'"),
        ({"a": [1, 2], "b": ["x", "y"]}, "column 'b' cannot be used in 2 of 2 rows: in row 0 it holds 'x'"),
        ({"a": [1, 2], "b": [Decimal(1), Decimal("2e16")]}, r"row 1: column 'b' is 2e\+16, beyond 1e\+15: divide"),
        ({"a": [1, 2], " a": [1, 2]}, "columns 0 and 1 are both called 'a'"),
        ({"a": [1, 2], "": [5, 7]}, "column 1 has no name, others have"),
        ({"a": [None, None]}, "column 'a' cannot be used in 2 of 2 rows: in row 0 it is missing"),
    ],
)
def test_what_parquet_holds_besides_is_refused(parquet: Read, columns: dict[str, list[object]], said: str) -> None:
    with pytest.raises(InvalidInput, match=rf"^\S*/it\.parquet: {said}"):
        parquet(columns)


def test_files_that_are_no_parquet_are_refused(tmp_path: Path) -> None:
    (tmp_path / "it.parquet").write_bytes(b"PAR1hello")
    with pytest.raises(InvalidInput, match=r"it\.parquet: is not an intact \.parquet file: "):
        read_parquet(tmp_path / "it.parquet", False)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(text=st.one_of(st.binary(max_size=40), st.text('ab1.,;"\n\t e-', max_size=60)), skip_bad=st.booleans())
def test_any_csv_file_raises_nothing_else(csv: Read, text: str | bytes, skip_bad: bool) -> None:
    with suppress(InvalidInput):
        assert np.isfinite(csv(text, skip_bad).values).all()


# A column of smaller ones alone is refused.
NUMBERS = st.floats(-(2.0**49), 2.0**49, width=32).map(lambda number: number if abs(number) > 1e-30 else 0.0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(*[NUMBERS] * 3), min_size=1))
def test_numbers_come_back_whatever_their_spelling(csv: Read, rows: list[tuple[float, ...]]) -> None:
    text = "a,b,c\n" + "\n".join(",".join(map(repr, row)) for row in rows)
    np.testing.assert_array_equal(csv(text).values, np.array(rows, np.float32))


def parquet_bytes() -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"a": [1.5, 2.5, None], "b": ["1", "x", "3"]}), file)
    return file.getvalue()


WHOLE = parquet_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(place=st.integers(0, len(WHOLE)), put=st.binary(max_size=4), cut=st.integers(0, 4))
def test_altered_parquet_raises_nothing_else(place: int, put: bytes, cut: int, tmp_path: Path) -> None:
    (tmp_path / "it.parquet").write_bytes(WHOLE[:place] + put + WHOLE[place + cut :])
    with suppress(InvalidInput):
        read_parquet(tmp_path / "it.parquet", True)
