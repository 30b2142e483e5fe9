"""Tables of scores, written without a server."""

from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from vaeserve.client.results import Reconstructed, Timing
from vaeserve.command import scores
from vaeserve.command.outputs import ResultFile
from vaeserve.command.scores import check_format, write_scores
from vaeserve.errors import InvalidInput

NATS = np.array([-1.5, -2.25], np.float32)


def scored(seed: int | None = None) -> Reconstructed:
    rows = np.zeros((2, 4, 4, 1), np.uint8)
    return Reconstructed(rows, NATS, NATS + 2, NATS - 2, NATS * -1, seed, "f" * 64, Timing(0.0, 0.0, 2))


def result(path: Path) -> ResultFile:
    return ResultFile(path, path.suffix, ("csv", "npz", "parquet"))


def test_rows_are_numbered_as_in_their_file(tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    write_scores(result(out), scored(), [], 0)
    assert out.read_text().splitlines()[:2] == ["row,log_likelihood,kl,elbo,squared_error", "0,-1.5,0.5,-3.5,1.5"]
    write_scores(result(out), scored(), [], 0, np.array([3, 7]))
    assert [line.partition(",")[0] for line in out.read_text().splitlines()] == ["row", "3", "7"]


def test_a_row_of_pictures_is_named_by_its_file(tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    write_scores(result(out), scored(), ["a, b.png", "c.png"], 0)
    assert [line[:9] for line in out.read_text().splitlines()] == ["file,log_", '"a, b.png', "c.png,-2."]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
def test_scores_that_the_model_lacks_are_left_out(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"s{suffix}"
    write_scores(result(out), scored()._replace(log_likelihood=None, elbo=None), [], 0)
    if suffix == ".csv":
        assert out.read_text().startswith("row,kl,squared_error\n")
    elif suffix == ".parquet":
        assert pyarrow.parquet.read_table(out).column_names == ["row", "kl", "squared_error"]
    else:
        assert set(np.load(out).files) == {"kl", "squared_error", "output", "fingerprint"}


def test_an_archive_says_which_rows_of_a_sample_it_holds(tmp_path: Path) -> None:
    out = tmp_path / "s.npz"
    write_scores(result(out), scored(seed=7), [], 5)
    assert (int(np.load(out)["seed"]), int(np.load(out)["first_row"])) == (7, 5)
    write_scores(result(out), scored(), [], 5)
    assert not {"seed", "first_row"} & set(np.load(out).files)


def test_a_format_without_its_library_is_refused_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_format(result(tmp_path / "s.parquet"))
    monkeypatch.setattr(scores, "find_spec", lambda name: None)
    check_format(result(tmp_path / "s.csv"))
    with pytest.raises(InvalidInput, match=r"s\.parquet: needs pyarrow: pip install pyarrow, or write \.csv or \.npz"):
        check_format(result(tmp_path / "s.parquet"))
