"""What a job cannot be asked for with pictures of many sizes is one line that names the option."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.jobs import run
from vaeserve.errors import InvalidInput

BUCKETS = "48x32,32x48,32x32"

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"buckets": "32x32"}, "--buckets: is 32x32, the job in .* was begun with 32x32,48x32,32x48"),
        ({"small": "refuse"}, "--small: is refuse, the job in .* was begun with enlarge"),
        ({"area": "64x64"}, "--area: is 64x64, the job in .* was begun with none"),
    ],
)
def test_a_rerun_with_other_buckets_says_so(
    photos: Path, free: Path, tmp_path: Path, asked: dict[str, Any], line: str
) -> None:
    run("encode", photos, tmp_path / "out", free, buckets=BUCKETS)
    with pytest.raises(InvalidInput, match=line):
        run("encode", photos, tmp_path / "out", free, **asked)


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"buckets": "33x32"}, r"--buckets: asks for 33x32: the model takes multiples of 8 in \[16, 256\]"),
        ({"lists": "fixed", "format": "parquet"}, "--lists: is fixed: rows of model free have many sizes"),
    ],
)
def test_what_a_model_of_many_sizes_does_not_take(
    photos: Path, free: Path, tmp_path: Path, asked: dict[str, Any], line: str
) -> None:
    with pytest.raises(InvalidInput, match=line):
        run("encode", photos, tmp_path / "out", free, **asked)
    assert not (tmp_path / "out").exists()


def test_buckets_are_for_pictures_of_many_sizes(photos: Path, free: Path, tiny: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((3, 32, 32, 3), np.uint8))
    sources: Sequence[tuple[str, Path, Path, str]] = (
        ("encode", photos, tiny, "model tiny takes one"),
        ("decode", photos, free, "this verb reads none"),
        ("encode", tmp_path / "rows.npy", free, "the source holds arrays"),
    )
    for verb, source, package, why in sources:
        with pytest.raises(InvalidInput, match=f"^--buckets: is for pictures of many sizes: {why}$"):
            run(verb, source, tmp_path / "out", package, buckets=BUCKETS)
    assert not (tmp_path / "out").exists()
