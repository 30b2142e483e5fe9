"""The Python functions do what the command does."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.jobs import InProcess, hashes, run, table_of
from tests.support.photos import write_photos
from vaeserve import jobs
from vaeserve.errors import InvalidInput


def test_functions_give_the_bytes_of_the_command(rows_file: Path, tmp_path: Path, tiny: Path) -> None:
    options = {"partition_rows": 150, "batch_rows": 64, "provider": "cpu", "workers": 1}
    summary = jobs.encode(rows_file, tmp_path / "one", package=tiny, output="sample", seed=3, **options)  # type: ignore[arg-type]
    run("encode", rows_file, tmp_path / "other", tiny, output="sample", seed=3)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "other")
    assert (summary.is_done, summary.rows, summary.settings.seed) == (True, 1000, 3)
    assert [entry.first_row for entry in summary.files] == [*range(0, 1000, 150)]


def test_every_function_runs(rows_file: Path, tmp_path: Path, tiny: Path) -> None:
    jobs.encode([rows_file], tmp_path / "latents", package=tiny)
    assert jobs.decode(tmp_path / "latents", tmp_path / "decoded", package=tiny).done_rows == 1000
    jobs.reconstruct(str(rows_file), tmp_path / "scores", package=tiny, latent="sample", seed=1)
    assert table_of(tmp_path / "scores").column_names[3:] == ["log_likelihood", "kl", "elbo", "squared_error", "error"]
    jobs.sample(50, tmp_path / "samples", package=tiny, seed=1, temperature=0.5, prior="standard")
    assert np.load(tmp_path / "samples" / "part-00000-of-00001.npy").shape == (50, 4, 4, 1)


def test_one_of_package_and_service_is_named(rows_file: Path, tmp_path: Path, tiny: Path) -> None:
    for options in ({}, {"package": tiny, "target": "127.0.0.1:1"}):
        with pytest.raises(InvalidInput, match="--package or --target: must be given, one of the two"):
            jobs.encode(rows_file, tmp_path / "out", **options)  # type: ignore[arg-type]


def test_a_misspelt_option_is_refused(rows_file: Path, tmp_path: Path, tiny: Path) -> None:
    with pytest.raises(
        TypeError, match=r"encode\(\) got an unexpected keyword argument 'batchrows' \(did you mean batch_rows\?\)"
    ):
        jobs.encode(rows_file, tmp_path / "out", package=tiny, batchrows=5)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"decode\(\) got an unexpected keyword argument 'flip'"):
        jobs.decode(rows_file, tmp_path / "out", package=tiny, flip=True)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"sample\(\) got an unexpected keyword argument 'keep'"):
        jobs.sample(5, tmp_path / "out", package=tiny, keep=["a"])  # type: ignore[call-arg]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"count": 1.5}, "--count: is 1.5, must be a whole number"),
        ({"format": "hdf5"}, "--format: is 'hdf5', must be 'parquet', 'safetensors' or 'npy'"),
        ({"provider": "tpu"}, "--provider: is 'tpu', must be 'auto', 'cpu' or 'cuda'"),
        ({"max_errors": 0.01}, "--max-errors: is '0.01', must be a number of rows, or a share such as 0.1%"),
        ({"shard": 1}, "--shard: is '1', must be I/N with I from 0 to N - 1, for example 0/3"),
        ({"workers": -1}, "--workers: is -1, must be at least 0"),
    ],
)
def test_wrong_values_are_named_as_the_command_names_them(
    options: dict[str, object], line: str, tmp_path: Path, tiny: Path
) -> None:
    with pytest.raises(InvalidInput) as refused:
        jobs.sample(**({"count": 5, "out": tmp_path / "out", "package": tiny} | options))  # type: ignore[arg-type]
    assert str(refused.value) == line
    assert not (tmp_path / "out").exists()


def test_a_number_of_errors_may_be_a_number(rows_file: Path, tmp_path: Path, tiny: Path) -> None:
    assert jobs.encode(rows_file, tmp_path / "out", package=tiny, max_errors=3).is_done


def test_an_array_is_no_source(tmp_path: Path, tiny: Path) -> None:
    with pytest.raises(InvalidInput, match="source: must be a path or URL, or a list of them"):
        jobs.encode(np.zeros((2, 4, 4, 1)), tmp_path / "out", package=tiny)  # type: ignore[arg-type]


def test_buckets_are_a_list_or_text(free: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.job.Workers", InProcess)
    photos = write_photos(tmp_path / "photos")
    for name, buckets in (("list", ["48x32", "32x32"]), ("text", "32x32,48x32")):
        summary = jobs.encode(photos, tmp_path / name, package=free, buckets=buckets, small="enlarge")
        assert [(bucket.size, bucket.rows) for bucket in summary.buckets] == [((32, 32), 5), ((32, 48), 3)]
    assert hashes(tmp_path / "list") == hashes(tmp_path / "text")
    with pytest.raises(InvalidInput, match="--area: is '32', must be WIDTHxHEIGHT in pixels, for example 448x576"):
        jobs.encode(photos, tmp_path / "other", package=free, area="32")
    with pytest.raises(TypeError, match=r"decode\(\) got an unexpected keyword argument 'area'"):
        jobs.decode(photos, tmp_path / "other", package=free, area="32x32")  # type: ignore[call-arg]
