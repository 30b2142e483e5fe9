"""A cluster that is not there is said in one line. Jobs on a real one: tests/ray."""

from importlib import util
from pathlib import Path

import pytest

from jobs.job import HowToRun
from jobs.run.cluster_check import check_cluster
from tests.support.jobs import run
from vaeserve.errors import JobError


@pytest.fixture
def ray_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray seems to be installed."""
    monkeypatch.setattr("jobs.run.cluster_check.find_spec", lambda name: util.find_spec("numpy"))


@pytest.mark.usefixtures("ray_is_there")
def test_an_address_without_a_cluster_is_refused_before_the_source_is_read(
    tmp_path: Path, tiny: Path, port: str
) -> None:
    with pytest.raises(JobError, match=f"--ray: no cluster answers at 127.0.0.1:{port}: Connection refused"):
        run("encode", tmp_path / "absent", tmp_path / "out", tiny, HowToRun(ray=f"127.0.0.1:{port}"))
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("ray_is_there")
@pytest.mark.parametrize("address", ["", "here", "host:", ":1", "host:port", "ray://host"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(JobError, match="must be auto, HOST:PORT or ray://HOST:PORT"):
        check_cluster(address)


def test_ray_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.run.cluster_check.find_spec", lambda name: None)
    with pytest.raises(JobError, match="--ray needs Ray: install the extra ray"):
        check_cluster("auto")
