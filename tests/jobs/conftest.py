"""A job of the tiny package: 1,000 rows of pictures 4 x 4, in partitions of 150."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.jobs import InProcess
from tests.support.photos import write_photos
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


@pytest.fixture(scope="module")
def in_process() -> Iterator[None]:
    """Makes jobs run in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.job.Workers", InProcess)
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures of many sizes."""
    return write_photos(tmp_path_factory.mktemp("photos"))
