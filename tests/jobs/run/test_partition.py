"""A partition's file: formats, errors, and answers that are not finite."""

import json
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import safetensors
import safetensors.numpy
import torch

from jobs.job import Allowance, HowToRun
from jobs.plan.folder import JobFolder, hold
from jobs.run.driver import TooManyErrors
from jobs.run.workers import Workers
from tests.support.jobs import InProcess, faults, hashes, run, table_of, write_picture
from tests.support.make_float_package import make
from vaeserve.errors import InvalidInput
from vaeserve.package.row_spec import Array

pytestmark = pytest.mark.usefixtures("in_process")

ALL_MAY_FAIL = HowToRun(workers=1, allowance=Allowance(10**6))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Twelve pictures in two folders; the third and the last cannot be read."""
    for number in range(12):
        write_picture(tmp_path / "source" / "ab"[number // 6] / f"{number:02d}.png", number)
    (tmp_path / "source" / "a" / "02.png").write_bytes(b"no picture")
    (tmp_path / "source" / "b" / "11.png").write_bytes(b"")
    return tmp_path / "source"


def test_parquet_has_a_line_for_each_row_and_the_reason_of_an_error(source: Path, tmp_path: Path, tiny: Path) -> None:
    summary = run("encode", source, tmp_path / "out", tiny, ALL_MAY_FAIL, output="moments", partition_rows=5)
    table = table_of(tmp_path / "out")
    assert table.column_names == ["row", "source", "source_row", "latent", "log_variance", "error"]
    assert [row for row, error in enumerate(table["error"].to_pylist()) if error] == [2, 11]
    assert table["error"][2].as_py() == "is not a PNG, JPEG or WebP"
    assert table["latent"].is_null().to_pylist() == table["log_variance"].is_null().to_pylist()
    assert [row for row, missing in enumerate(table["latent"].is_null().to_pylist()) if missing] == [2, 11]
    assert (summary.error_rows, summary.done_rows) == (2, 12)
    good = np.array(table.filter(pa.compute.is_valid(table["latent"]))["latent"].to_pylist(), np.float32)
    assert summary.latents is not None
    np.testing.assert_allclose(summary.latents.mean, good.astype(np.float64).mean(0), rtol=1e-12)
    assert faults(tmp_path / "out") == []


def test_lists_of_fixed_size_are_arrows_own(rows_file: Path, tmp_path: Path, tiny: Path) -> None:
    run("encode", rows_file, tmp_path / "out", tiny, lists="fixed")
    assert table_of(tmp_path / "out").schema.field("latent").type == pa.list_(pa.float32(), 3)
    plain = pyarrow.parquet.ParquetFile(tmp_path / "out" / "part-00000-of-00007.parquet").schema
    assert "list" in str(plain)


def test_safetensors_leave_errors_out_and_say_which_rows_are_there(source: Path, tmp_path: Path, tiny: Path) -> None:
    run("encode", source, tmp_path / "p", tiny, ALL_MAY_FAIL, partition_rows=5)
    run("encode", source, tmp_path / "s", tiny, ALL_MAY_FAIL, partition_rows=5, format="safetensors", dtype="float16")
    shards = [safetensors.numpy.load_file(path) for path in sorted((tmp_path / "s").glob("part-*"))]
    rows = np.concatenate([shard["row"] for shard in shards])
    assert rows.tolist() == [row for row in range(12) if row not in (2, 11)]
    assert np.concatenate([shard["labels"] for shard in shards]).tolist() == [0] * 5 + [1] * 5
    latents = np.concatenate([shard["latents"] for shard in shards])
    expected = [latent for latent in table_of(tmp_path / "p")["latent"].to_pylist() if latent is not None]
    np.testing.assert_array_equal(latents, np.array(expected, np.float32).astype(np.float16), strict=True)
    with safetensors.safe_open(next((tmp_path / "s").glob("part-*")), "np") as file:
        assert json.loads(file.metadata()["vaeserve.classes"]) == ["a", "b"]
        assert file.metadata()["vaeserve.representation"] == "mean"
    statistics = torch.load(tmp_path / "s" / "latents_stats.pt", weights_only=True)
    wide = np.array(expected, np.float32).astype(np.float64)
    np.testing.assert_allclose(statistics["mean"], wide.mean(0, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(statistics["std"], wide.std(0, keepdims=True), rtol=1e-6)
    assert faults(tmp_path / "s") == []


def test_mirror_images_are_encoded_beside_their_pictures(
    rows_file: Path, tmp_path: Path, tiny: Path, pictures: Array
) -> None:
    run("encode", rows_file, tmp_path / "out", tiny, flip=True, format="safetensors")
    np.save(tmp_path / "mirrored.npy", pictures[:, :, ::-1])
    run("encode", tmp_path / "mirrored.npy", tmp_path / "mirrored", tiny, format="safetensors")
    for path in sorted((tmp_path / "out").glob("part-*")):
        mirrored = safetensors.numpy.load_file(tmp_path / "mirrored" / path.name)
        np.testing.assert_array_equal(safetensors.numpy.load_file(path)["latents_flip"], mirrored["latents"])


def test_an_array_has_nan_in_place_of_an_error(source: Path, tmp_path: Path, tiny: Path) -> None:
    run("encode", source, tmp_path / "out", tiny, ALL_MAY_FAIL, partition_rows=5, format="npy")
    parts = [np.load(path) for path in sorted((tmp_path / "out").glob("part-*.npy"))]
    assert [part.shape for part in parts] == [(5, 3), (5, 3), (2, 3)]
    assert np.flatnonzero(np.isnan(np.concatenate(parts)).all(1)).tolist() == [2, 11]
    assert faults(tmp_path / "out") == []


def test_a_files_size_does_not_depend_on_the_batch(rows_file: Path, tmp_path: Path, tiny: Path) -> None:
    for rows in (1, 64, 1000):
        run("encode", rows_file, tmp_path / str(rows), tiny, format="safetensors", batch_rows=rows)
    assert hashes(tmp_path / "1") == hashes(tmp_path / "64") == hashes(tmp_path / "1000")


def test_latents_of_a_job_are_decoded_by_another(rows_file: Path, tmp_path: Path, tiny: Path) -> None:
    for name in ("parquet", "safetensors", "npy"):
        run("encode", rows_file, tmp_path / name, tiny, format=name)
        run("decode", tmp_path / name, tmp_path / f"{name} decoded", tiny)
    assert (
        hashes(tmp_path / "parquet decoded")
        == hashes(tmp_path / "safetensors decoded")
        == hashes(tmp_path / "npy decoded")
    )


def test_a_tables_decoded_rows_have_its_columns(tmp_path: Path) -> None:
    package = make(tmp_path / "package", (3,), columns=["x", "y", "z"]).directory
    run("sample", (), tmp_path / "out", package, count=20, seed=3)
    table = table_of(tmp_path / "out")
    assert table.column_names == ["row", "x", "y", "z", "error"]
    assert table["x"].type == pa.float32()


def test_columns_of_the_source_travel_along(tmp_path: Path) -> None:
    package = make(tmp_path / "package", (2,), columns=["x", "y"]).directory
    table = pa.table({"id": ["a", "b", "b"], "y": [0.5, None, 0.25], "x": [0.0, 0.1, 9.0]})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    run("reconstruct", tmp_path / "rows.parquet", tmp_path / "out", package, ALL_MAY_FAIL, keep=("id",))
    scores = table_of(tmp_path / "out")
    assert scores["id"].to_pylist() == ["a", "b", "b"]
    assert scores["error"].to_pylist() == [None, "column 'y' is missing", "column 'x' is 9, must lie in [-1, 1]"]
    assert scores["squared_error"].is_null().to_pylist() == [False, True, True]


def test_answers_that_are_not_finite_are_errors_and_their_neighbours_keep_their_bits(tmp_path: Path) -> None:
    package = make(tmp_path / "package", (2,), scale=1e38, minimum=-1e30, maximum=1e30).directory
    rows = np.full((200, 2), 0.25, np.float32)
    np.save(tmp_path / "good.npy", rows)
    rows[[3, 70]] = 1e30  # whose means are infinite
    np.save(tmp_path / "rows.npy", rows)
    run("encode", tmp_path / "good.npy", tmp_path / "good", package)
    run("encode", tmp_path / "rows.npy", tmp_path / "out", package, ALL_MAY_FAIL)
    found, good = table_of(tmp_path / "out"), table_of(tmp_path / "good")
    assert {row: error for row, error in enumerate(found["error"].to_pylist()) if error} == dict.fromkeys(
        (3, 70), "the model answers NaN or infinity"
    )
    kept = [row for row in range(200) if row not in (3, 70)]
    assert found["latent"].take(kept).to_pylist() == good["latent"].take(kept).to_pylist()


@pytest.mark.parametrize("name", ["safetensors", "npy"])
def test_answers_beyond_float16_are_errors_where_it_is_written(tmp_path: Path, name: str) -> None:
    package = make(tmp_path / "package", (2,), scale=1e6).directory
    rows = np.full((200, 2), 0.01, np.float32)
    rows[[3, 199]] = 0.25  # whose means are past 65,504
    np.save(tmp_path / "rows.npy", rows)
    run("encode", tmp_path / "rows.npy", tmp_path / "wide", package, format=name)
    out = tmp_path / "out"
    summary = run("encode", tmp_path / "rows.npy", out, package, ALL_MAY_FAIL, format=name, dtype="float16")
    errors = [error for marker in JobFolder(out).markers(JobFolder(out).read_plan()) for error in marker.errors]
    assert [(error.row, error.reason) for error in errors] == [
        (3, "the model's answer is beyond the range of float16"),
        (199, "the model's answer is beyond the range of float16"),
    ]
    assert summary.error_rows == 2
    assert faults(out) == faults(tmp_path / "wide") == []
    part = out / f"part-00000-of-00002.{name}"
    values = np.load(part) if name == "npy" else safetensors.numpy.load_file(part)["latents"]
    assert (values.dtype, np.isinf(values).any()) == (np.float16, False)
    assert len(values) == (150 if name == "npy" else 149)


def test_a_file_that_another_run_removed_before_it_was_locked_is_written_again(
    source: Path, tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[Path] = []

    def removed_once(file: BinaryIO) -> None:
        if not removed:
            removed.append(Path(file.name))
            removed[0].unlink()
        hold(file)

    run("encode", source, tmp_path / "whole", tiny, ALL_MAY_FAIL)
    monkeypatch.setattr("jobs.run.partition.hold", removed_once)
    monkeypatch.setattr("jobs.job.Workers", InProcess)
    run("encode", source, tmp_path / "out", tiny, ALL_MAY_FAIL)
    assert len(removed) == 1
    assert hashes(tmp_path / "out") == hashes(tmp_path / "whole")


def test_too_many_errors_end_the_job_and_are_named(
    source: Path, tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.job.Workers", Workers)  # who tells of errors before a partition is whole
    with pytest.raises(TooManyErrors, match="2 of 12 rows have an error, --max-errors allows 1") as failed:
        run("encode", source, tmp_path / "out", tiny, partition_rows=5)
    assert [(error.row, error.source) for error in failed.value.errors] == [(2, "a/02.png"), (11, "b/11.png")]
    assert not [*(tmp_path / "out").glob(".*")]
    with pytest.raises(TooManyErrors):
        run("encode", source, tmp_path / "out", tiny, partition_rows=5)
    assert run("encode", source, tmp_path / "out", tiny, ALL_MAY_FAIL, partition_rows=5).error_rows == 2


def test_a_picture_that_changes_under_the_job_is_an_error(source: Path, tmp_path: Path, tiny: Path) -> None:
    out = tmp_path / "out"
    run("encode", source, out, tiny, ALL_MAY_FAIL, partition_rows=12)
    (out / "_job" / "done" / "00000.json").unlink()
    write_picture(source / "a" / "00.png", 77)
    from jobs.job import Shard

    run(
        "encode",
        source,
        out,
        tiny,
        HowToRun(workers=1, shard=Shard(0, 1), allowance=Allowance(10**6)),
        partition_rows=12,
    )
    assert table_of(out)["error"][0].as_py() == "has changed since the job was planned: --update takes it"


def test_names_of_any_bytes_are_escaped_in_files_classes_and_errors(tmp_path: Path, tiny: Path) -> None:
    odd = tmp_path / "source" / os.fsdecode(b"a\xff")
    write_picture(odd / os.fsdecode(b"1\xfe\n.png"), 1)
    write_picture(tmp_path / "source" / "b" / "2.png", 2)
    (odd / "bad.png").write_bytes(b"?")
    for name in ("parquet", "safetensors"):
        run("encode", tmp_path / "source", tmp_path / name, tiny, ALL_MAY_FAIL, format=name)
        assert faults(tmp_path / name) == []
    sources = table_of(tmp_path / "parquet")["source"].to_pylist()
    assert sources == [
        "a\\udcff/1\\udcfe\\n.png",
        "a\\udcff/bad.png",
        "b/2.png",
    ]
    (shard,) = (tmp_path / "safetensors").glob("part-*")
    assert safetensors.numpy.load_file(shard)["labels"].tolist() == [0, 1]


@pytest.mark.parametrize("name", ["row", "source", "source_row", "error", "latent"])
def test_a_column_that_is_kept_takes_no_name_of_the_job(tmp_path: Path, tiny: Path, pictures: Array, name: str) -> None:
    lists = pa.array(pictures[:5].reshape(5, -1).tolist(), pa.list_(pa.uint8()))
    pa.parquet.write_table(pa.table({"picture": lists, name: [*"abcde"]}), tmp_path / "source.parquet")
    with pytest.raises(InvalidInput, match=f"--keep: is {name}: this job's files have such a column of their own"):
        run("encode", tmp_path / "source.parquet", tmp_path / "out", tiny, columns=("picture",), keep=(name,))
    assert not (tmp_path / "out").exists()
