"""The Python functions do what the command does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.jobs import hashes, run, table_of
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
    with pytest.raises(TypeError, match=r"encode\(\) got an unexpected keyword argument 'batchrows'"):
        jobs.encode(rows_file, tmp_path / "out", package=tiny, batchrows=5)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"decode\(\) got an unexpected keyword argument 'flip'"):
        jobs.decode(rows_file, tmp_path / "out", package=tiny, flip=True)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"sample\(\) got an unexpected keyword argument 'keep'"):
        jobs.sample(5, tmp_path / "out", package=tiny, keep=["a"])  # type: ignore[call-arg]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"provider": "gpu"}, "--provider: is 'gpu': input should be 'auto', 'cpu' or 'cuda'"),
        ({"workers": -1}, "--workers: is -1, must be at least 1, or 0 for as many as pay"),
        ({"format": "csv"}, "--format: is 'csv': input should be 'parquet', 'safetensors' or 'npy'"),
    ],
)
def test_wrong_options_are_one_line(rows_file: Path, tmp_path: Path, tiny: Path, options: Any, line: str) -> None:  # noqa: ANN401
    with pytest.raises(InvalidInput, match=line):
        jobs.encode(rows_file, tmp_path / "out", package=tiny, **options)
    assert not (tmp_path / "out").exists()
