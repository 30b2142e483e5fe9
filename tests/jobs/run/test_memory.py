"""Fewer workers run at once where their batches would not fit into memory together."""

from pathlib import Path

import pytest

from jobs.plan.folder import JobFolder
from jobs.plan.plan import Plan
from jobs.run import memory
from tests.support.jobs import InProcess, run
from vaeserve.errors import JobError
from vaeserve.package.directory import read_manifest
from vaeserve.package.footprints import Footprint
from vaeserve.package.sizes import PictureSize


@pytest.fixture(scope="module")
def plan(free: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Four rows of 256 x 256 pixels; batches of 512 rows of 16 x 16, which are two of these."""
    out = tmp_path_factory.mktemp("job") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.job.Workers", InProcess)
        run("sample", (), out, free, count=4, seed=1, batch_rows=512)
    plan = JobFolder(out).read_plan()
    large = tuple(each.model_copy(update={"size": PictureSize(256, 256)}) for each in plan.partitions)
    return plan.model_copy(update={"partitions": large})


@pytest.fixture(autouse=True)
def known(free: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the decoder's rows of 256 x 256 pixels take 1,000 bytes each."""
    manifest = read_manifest(free)
    footprints = (Footprint(pixels=128 * 128, bytes=250), Footprint(pixels=256 * 256, bytes=1000))
    decoder = manifest.graphs.decoder.model_copy(update={"footprints": footprints})
    graphs = manifest.graphs.model_copy(update={"decoder": decoder})
    monkeypatch.setattr(memory, "read_manifest", lambda _: manifest.model_copy(update={"graphs": graphs}))


@pytest.mark.parametrize(("available", "workers"), [(100_000, 8), (3750 * 3, 3), (4000, 1), (1000, 1), (None, 8)])
def test_as_many_workers_as_fit(
    plan: Plan, free: Path, monkeypatch: pytest.MonkeyPatch, available: int | None, workers: int
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: available)
    assert memory.workers_within_memory(free, plan, plan.partitions, 8) == workers


def test_a_row_that_never_fits_ends_the_job_before_it_begins(
    plan: Plan, free: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 999)
    with pytest.raises(JobError, match=r"a picture of 256 x 256 pixels takes at least .*: begin a job of smaller"):
        memory.workers_within_memory(free, plan, plan.partitions, 8)


def test_rows_of_one_size_know_no_such_limit(tiny: Path, plan: Plan) -> None:
    partitions = tuple(each.model_copy(update={"size": None}) for each in plan.partitions)
    assert memory.workers_within_memory(tiny, plan, partitions, 8) == 8
