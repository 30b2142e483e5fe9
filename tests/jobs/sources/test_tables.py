from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from jobs.sources.opening import open_source
from tests.jobs.sources.conftest import IMAGES, NAMED, TABLE, Everything, ReadAll, read, spans_of
from vaeserve.errors import InvalidInput
from vaeserve.package.row_spec import LatentSpec
from vaeserve.sources.columns import csv_table, parquet_table
from vaeserve.sources.fitting import fit_table

NUMBERS = np.random.default_rng(0)
AGE, WEIGHT = NUMBERS.normal(size=(2, 57))
IDS = [f"row {number}" for number in range(57)]
COLUMNS = {"id": IDS, "weight": WEIGHT, "age": AGE}
LATENTS = NUMBERS.normal(size=(57, 6)).astype(np.float32)
LISTS = {
    "plain": pa.array(LATENTS.tolist(), pa.list_(pa.float32())),
    "large": pa.array(LATENTS.tolist(), pa.large_list(pa.float64())),
    "fixed": pa.FixedSizeListArray.from_arrays(LATENTS.ravel(), 6),
    "half": pa.array(LATENTS.tolist(), pa.list_(pa.float64())),
}


def parquet(path: Path, columns: dict[str, object], rows: int = 10) -> Path:
    pyarrow.parquet.write_table(pa.table(columns), path, row_group_size=rows)
    return path


def csv(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def kept(everything: Everything, name: str) -> list[object]:
    return [value for chunk in everything.chunks for value in chunk.columns[name].to_pylist()]


@pytest.fixture(params=["parquet", "csv"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "parquet":
        return parquet(tmp_path / "a.parquet", COLUMNS)
    lines = [f"{name},{weight!r},{age!r}" for name, weight, age in zip(IDS, WEIGHT.tolist(), AGE.tolist(), strict=True)]
    return csv(tmp_path / "a.csv", "\n".join(["id,weight,age", *lines]))


def test_rows_are_those_of_the_whole_file(table: Path, read_all: ReadAll) -> None:
    everything = read_all(table, NAMED, keep=("id", "age"))
    whole = parquet_table(table) if table.suffix == ".parquet" else csv_table(table, False)
    np.testing.assert_array_equal(everything.rows, fit_table(whole, NAMED, False).rows)
    assert kept(everything, "id") == IDS
    assert [float(str(age)) for age in kept(everything, "age")] == AGE.tolist()
    assert everything.source_rows == [*range(57)]


def test_rows_are_found_wherever_they_lie(table: Path) -> None:
    source = open_source([str(table)], NAMED)
    (whole,) = spans_of(source)
    rows = np.stack([AGE, WEIGHT], 1).astype(np.float32)
    for places in ([(50, 57), (0, 2)], [(9, 21)], [(22, 23), (41, 43), (41, 42)], [(43, 57)]):
        spans = [whole._replace(start=start, stop=stop) for start, stop in places]
        expected = np.concatenate([rows[start:stop] for start, stop in places])
        np.testing.assert_array_equal(read(source, spans, 4).rows, expected)
    with pytest.raises(InvalidInput, match=r"has no row 57$"):
        read(source, [whole._replace(start=50, stop=60)], 100)
    source.close()


def test_bad_cells_are_error_rows_in_the_words_of_the_whole_file(tmp_path: Path, read_all: ReadAll) -> None:
    path = csv(tmp_path / "a.csv", "age,weight\n1,2\n,3\n4\n5,6,7\nabc,8\n9,1000\n10,1e20\n11,n/a\n12,13\n14\n")
    everything = read_all(path, NAMED, keep=("weight",))
    assert everything.errors == {
        1: "column 'age' is missing",
        2: "has 1 cells, not 2",
        3: "has 3 cells, not 2",
        4: "column 'age' holds 'abc'",
        5: "column 'weight' is 1000, must lie in [-100, 100]",
        6: "column 'weight' is 1e+20, beyond 1e+15: divide the column by a constant",
        7: "column 'weight' is missing ('n/a')",
        9: "has 1 cells, not 2",
    }
    fitted = fit_table(csv_table(path, True), NAMED, True)
    np.testing.assert_array_equal(everything.rows[[0, 8]], fitted.rows)
    said = [line.partition(": row ")[2].partition(": ") for line in fitted.skipped]
    assert {int(row): reason for row, _, reason in said} == everything.errors
    assert kept(everything, "weight") == ["2", "3", None, None, "8", "1000", "1e20", "n/a", "13", None]


def test_ragged_rows_are_counted_across_blocks(
    tmp_path: Path, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaeserve.sources.columns.CSV_BLOCK", 64)
    lines = [f"{row},{row + 0.5}" if row % 7 else str(row) for row in range(1, 100)]
    path = csv(tmp_path / "a.csv", "\n".join(lines))
    everything = read_all(path, TABLE)
    bad = [row for row in range(99) if (row + 1) % 7 == 0]
    assert [*everything.errors] == bad
    good = np.delete(np.arange(99), bad)
    np.testing.assert_array_equal(everything.rows[good], np.stack([good + 1, good + 1.5], 1).astype(np.float32))


def test_missing_values_pass_where_the_model_allows_them(tmp_path: Path, read_all: ReadAll) -> None:
    path = csv(tmp_path / "a.csv", "age,weight\n1,2\n,3\n4\nabc,1\n")
    everything = read_all(path, NAMED.model_copy(update={"missing_allowed": True}))
    assert everything.errors == {2: "has 1 cells, not 2", 3: "column 'age' holds 'abc'"}
    assert np.isnan(everything.rows[:2]).tolist() == [[False, False], [True, False]]


@pytest.mark.parametrize("kind", LISTS)
def test_lists_are_rows(tmp_path: Path, read_all: ReadAll, kind: str) -> None:
    path = parquet(tmp_path / "a.parquet", {"id": IDS, "latent": LISTS[kind], "other": LISTS["plain"]})
    everything = read_all(path, LatentSpec((2, 3)), keep=("id",))
    np.testing.assert_array_equal(everything.rows, LATENTS.reshape(57, 2, 3))
    assert kept(everything, "id") == IDS
    source = open_source([str(path)], LatentSpec((6,)))
    assert source.columns == ("latent",)


@pytest.mark.parametrize("kind", [pa.int32(), pa.int64(), pa.uint8(), pa.float32(), pa.float64()])
@pytest.mark.parametrize("bad", [[], [[1, None]], [[1]], [[1, 2, 3]], [[1]] * 2 + [[1, 2, 3]] * 2, [None]])
def test_good_lists_are_the_same_rows_beside_bad_ones(
    tmp_path: Path, read_all: ReadAll, kind: pa.DataType, bad: list[list[int] | None]
) -> None:
    lists = [[row, 2 * row] for row in range(7)] + bad
    path = parquet(tmp_path / "a.parquet", {"x": pa.array(lists, pa.list_(kind))}, rows=3)
    everything = read_all(path, TABLE)
    assert everything.rows[:7].tolist() == lists[:7]
    assert [*everything.errors] == [*range(7, len(lists))]


@pytest.mark.parametrize("value", [2**24 + 1, 10**16])
def test_whole_numbers_past_those_of_float32_are_as_in_the_whole_file(
    tmp_path: Path, read_all: ReadAll, value: int
) -> None:
    wide = parquet(tmp_path / "a.parquet", {"x": pa.array([[1, value]], pa.list_(pa.int64()))})
    flat = parquet(tmp_path / "b.parquet", {"x": pa.array([1]), "y": pa.array([value])})
    one, other = read_all(wide, TABLE), read_all(flat, TABLE)
    assert one.rows.tolist() == other.rows.tolist()
    assert [*one.errors] == [*other.errors]


def test_bad_lists_are_error_rows(tmp_path: Path, read_all: ReadAll) -> None:
    lists = [[1.0, 2.0], None, [1.0], [3.0, None], [float("nan"), 1.0], [5.0, 6.0], []]
    path = parquet(tmp_path / "a.parquet", {"x": pa.array(lists, pa.list_(pa.float64()))}, rows=3)
    everything = read_all(path, LatentSpec((2,)))
    assert everything.errors == {
        1: "column 'x' is missing",
        2: "column 'x' holds 1 values, not 2",
        3: "column 'x': value 1 is missing",
        4: "column 'x': value 0 is NaN",
        6: "column 'x' holds 0 values, not 2",
    }
    assert everything.rows.tolist() == [[1, 2], [0, 0], [0, 0], [0, 0], [0, 0], [5, 6], [0, 0]]


def test_lists_of_whole_numbers_are_images(tmp_path: Path, read_all: ReadAll) -> None:
    pictures = NUMBERS.integers(0, 256, (5, 16))
    path = parquet(tmp_path / "a.parquet", {"pixels": pa.array(pictures.tolist()), "label": [*range(5)]})
    assert read_all(path, IMAGES).rows.reshape(5, 16).tolist() == pictures.tolist()
    with pytest.raises(InvalidInput, match=r"images of shape \[4, 4, 1\]: name the 16 columns of pixels by --columns$"):
        open_source([str(parquet(tmp_path / "b.parquet", COLUMNS))], IMAGES)


def test_columns_are_chosen_at_planning(tmp_path: Path) -> None:
    def chosen(columns: dict[str, object], spec: object = TABLE, keep: tuple[str, ...] = ()) -> tuple[str, ...]:
        path = parquet(tmp_path / "a.parquet", columns)
        return open_source([str(path)], spec, (), keep).columns  # type: ignore[arg-type]

    assert chosen(COLUMNS, NAMED) == ("age", "weight")
    assert chosen(COLUMNS, TABLE, ("id",)) == ("weight", "age")
    assert chosen({"index": [*range(57)], "weight": WEIGHT, "age": AGE}) == ("weight", "age")
    with pytest.raises(InvalidInput, match=r"has 3 columns, the model takes 2$"):
        chosen(COLUMNS)
    with pytest.raises(InvalidInput, match=r"has no column 'age', which the model takes; it has 'id', 'weight'$"):
        chosen({"id": IDS, "weight": WEIGHT}, NAMED)
    with pytest.raises(InvalidInput, match=r"cannot tell which column holds the rows: 'a', 'b'$"):
        chosen({"a": LISTS["plain"], "b": LISTS["fixed"]}, LatentSpec((6,)))


def test_columns_may_be_named(tmp_path: Path, read_all: ReadAll) -> None:
    path = parquet(tmp_path / "a.parquet", {"a.b": AGE, "c": WEIGHT, "d": AGE})
    np.testing.assert_array_equal(read_all(path, TABLE, ("d", "a.b")).rows, np.stack([AGE, AGE], 1).astype("f4"))
    nameless = csv(tmp_path / "b.csv", "1,2,3\n4,5,6\n")
    assert read_all(nameless, TABLE, ("2", "0")).rows.tolist() == [[3, 1], [6, 4]]
    for columns, said in (
        (("c",), "1 of its columns are taken, the model takes 2"),
        (("x", "c"), "has no column 'x'; it"),
    ):
        source = open_source([str(path)], TABLE, columns)
        with pytest.raises(InvalidInput, match=f"a.parquet: {said}"):
            list(source.files())


def test_several_files_follow_each_other_and_some_may_be_empty(tmp_path: Path, read_all: ReadAll) -> None:
    csv(tmp_path / "0.csv", "")
    csv(tmp_path / "1.csv", "age,weight,id\n")
    csv(tmp_path / "2.csv", "age,weight,id\n1,2,a\n")
    csv(tmp_path / "3.csv", "id;weight;age\nb;4;3\n")
    everything = read_all(tmp_path, NAMED, keep=("id",))
    assert everything.rows.tolist() == [[1, 2], [3, 4]]
    assert everything.sources == ["2.csv", "3.csv"]
    assert len(everything.chunks) == 1
    assert kept(everything, "id") == ["a", "b"]


def test_columns_to_keep_must_have_one_type(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", {**COLUMNS, "id": [*range(57)]})
    parquet(tmp_path / "b.parquet", COLUMNS)
    source = open_source([str(tmp_path)], NAMED, keep=("id",))
    with pytest.raises(InvalidInput, match=r"b.parquet: column 'id' is string, in .*a.parquet it is int64$"):
        list(source.files())
    with pytest.raises(InvalidInput, match=r"a.parquet: has no column 'label'; it has 'id', 'weight', 'age'$"):
        list(open_source([str(tmp_path)], NAMED, keep=("label",)).files())


def test_dictionaries_travel_as_what_they_stand_for(tmp_path: Path, read_all: ReadAll) -> None:
    parquet(tmp_path / "a.parquet", {"age": AGE, "weight": WEIGHT, "id": pa.array(IDS).dictionary_encode()})
    assert kept(read_all(tmp_path, NAMED, keep=("id",)), "id") == IDS


def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    def refused(name: str, content: bytes, said: str) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidInput, match=f"{name}: {said}"):
            list(open_source([str(tmp_path / name)], NAMED).files())

    whole = parquet(tmp_path / "x.parquet", COLUMNS).read_bytes()
    refused("a.parquet", whole[:-9], "is not an intact .parquet file: ")
    refused("a.parquet", b"", "is not an intact .parquet file: ")
    refused("a.csv", b"age,weight\n1,2\n\xff,3\n", "is not UTF-8 text: line 3$")
    refused("a.csv", b"age,age\n1,2\n", "columns 0 and 1 are both called 'age': rename one$")
    refused("a.csv", b"", "holds no rows$")
    refused("a.csv", b"age,weight\n", "holds no rows$")


def test_a_damaged_page_is_one_line_when_it_is_read(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", COLUMNS)
    content = bytearray(path.read_bytes())
    content[4:200] = b"\0" * 196
    path.write_bytes(content)
    source = open_source([str(path)], NAMED, keep=("id",))
    with pytest.raises(InvalidInput, match=r"a.parquet: is not an intact .parquet file: "):
        read(source, spans_of(source), 100)
    source.close()


def test_a_file_that_changes_under_the_job_is_one_line(table: Path) -> None:
    source = open_source([str(table)], NAMED)
    spans = spans_of(source)
    rows = source.read(spans, 7)
    next(rows)
    content = table.read_bytes()
    table.unlink()
    table.write_bytes(content)
    next(rows)  # the same again
    table.unlink()
    table.write_bytes(content + b"x")
    with pytest.raises(InvalidInput, match=r"has changed since the job was planned: --update takes it$"):
        list(rows)
    source.close()


def test_stores_read_like_folders(table: Path, read_all: ReadAll) -> None:
    store = fsspec.filesystem("memory")
    store.pipe(f"/tables/{table.name}", table.read_bytes())
    there, here = read_all(f"memory://tables/{table.name}", NAMED), read_all(table, NAMED)
    np.testing.assert_array_equal(there.rows, here.rows)
    assert there.sources == here.sources == [table.name] * 57
    source = open_source([f"memory://tables/{table.name}"], NAMED)
    spans = spans_of(source)
    assert spans[0].stamp
    store.pipe(f"/tables/{table.name}", table.read_bytes() + b"x")
    with pytest.raises(InvalidInput, match="has changed"):
        read(source, spans, 7)
    source.close()
