"""A job of the tiny package: 1,000 rows of pictures 4 x 4, in partitions of 150."""

from pathlib import Path

import numpy as np
import pytest

from vaeserve.package.row_spec import Array

ROWS = 1000


@pytest.fixture(scope="session")
def pictures() -> Array:
    """Rows of the tiny package."""
    random = np.random.default_rng(0)
    return random.integers(0, 17, (ROWS, 4, 4, 1)).astype(np.uint8)


@pytest.fixture
def rows_file(tmp_path: Path, pictures: Array) -> Path:
    """The rows, in a file."""
    path = tmp_path / "rows.npy"
    np.save(path, pictures)
    return path
