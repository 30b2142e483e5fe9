"""A node that may write other bytes is refused. Jobs on a real cluster: tests/ray."""

import pytest

from jobs.run.cluster import check_versions
from jobs.run.worker import versions
from vaeserve.errors import JobError


def test_the_same_libraries_pass() -> None:
    check_versions(versions(), versions())


@pytest.mark.parametrize(
    ("here", "line"),
    [
        ({"vaeserve": "0.1", "numpy": "1"}, "has vaeserve 0.1, the job began with 0.2: install the same on every node"),
        ({"vaeserve": "0.2", "numpy": "1"}, "has numpy 1, the job began with 2"),
        ({"vaeserve": "0.2"}, "has numpy none, the job began with 2"),
    ],
)
def test_a_library_that_differs_is_one_line(here: dict[str, str], line: str) -> None:
    with pytest.raises(JobError, match=line):
        check_versions(here, {"vaeserve": "0.2", "numpy": "2"})
