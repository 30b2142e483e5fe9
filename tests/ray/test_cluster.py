"""A Ray cluster computes a job: the same bytes, also when one of its nodes is killed."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from jobs.job import HowToRun
from tests.support.jobs import faults, hashes, run
from tests.support.servers import until
from vaeserve.errors import JobError

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

cluster_utils = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed: `make ray-test` installs it")


@pytest.fixture
def cluster() -> "Iterator[Cluster]":
    """A head of one processor; tests add nodes."""
    running = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield running
    stop: Callable[[], object] = running.shutdown
    stop()


@pytest.mark.filterwarnings("ignore")
def test_a_node_that_is_killed_changes_no_byte(cluster: "Cluster", tmp_path: Path, tiny: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 17, (60_000, 4, 4, 1)).astype(np.uint8)
    np.save(tmp_path / "rows.npy", rows)
    asked = {"output": "sample", "seed": 3, "batch_rows": 1, "partition_rows": 3000}
    run("encode", tmp_path / "rows.npy", tmp_path / "one", tiny, HowToRun(workers=1), **asked)
    node, out = cluster.add_node(num_cpus=1), tmp_path / "out"

    def kill() -> None:
        until(lambda: [*(out / "_job" / "done").glob("*.json")])
        cluster.remove_node(node, allow_graceful=False)
        killed.append(len([*(out / "_job" / "done").glob("*.json")]))

    killed: list[int] = []
    killer = threading.Thread(target=kill)
    killer.start()
    run("encode", tmp_path / "rows.npy", out, tiny, HowToRun(ray=cluster.address), **asked)
    killer.join()
    assert killed[0] < 20, "the node was killed too late to matter"
    assert hashes(out) == hashes(tmp_path / "one")
    assert faults(out) == []


@pytest.mark.filterwarnings("ignore")
def test_what_a_partition_lacks_is_one_line(cluster: "Cluster", tmp_path: Path, tiny: Path, rows_file: Path) -> None:
    out = tmp_path / "out"
    run("encode", rows_file, out, tiny)
    (out / "_job" / "done" / "00003.json").unlink()
    next((out / "_job" / "spans").glob("00003-*.json")).write_text("{")
    with pytest.raises(JobError, match=r"00003-\w+.json: is not what a job wrote"):
        run("encode", rows_file, out, tiny, HowToRun(ray=cluster.address))


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    """Rows of the tiny package, in a file."""
    np.save(tmp_path / "rows.npy", np.zeros((1000, 4, 4, 1), np.uint8))
    return tmp_path / "rows.npy"
