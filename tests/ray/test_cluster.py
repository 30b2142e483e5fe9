"""A Ray cluster computes a job: the same bytes, also when one of its nodes is killed."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from jobs.job import HowToRun
from tests.support.jobs import faults, hashes, run
from tests.support.servers import ROOT, until
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


def test_something_other_than_ray_is_one_line_in_time(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.run.cluster_check._JOIN_SECONDS", 5.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(JobError, match=f"no cluster answers at {address}: what listens there has not answered"):
            run("encode", tmp_path / "absent", tmp_path / "out", tiny, HowToRun(ray=address))


@pytest.mark.filterwarnings("ignore")
def test_a_node_with_another_version_is_one_line(
    cluster: "Cluster", tmp_path: Path, tiny: Path, rows_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.run.cluster.versions", lambda: {"vaeserve": "0"})
    with pytest.raises(JobError, match=r"^node \S+ has vaeserve \S+, the job began with 0: install the same"):
        run("encode", rows_file, tmp_path / "out", tiny, HowToRun(ray=cluster.address))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_job_that_is_stopped_cancels_its_tasks_and_says_how_to_go_on(
    cluster: "Cluster", tmp_path: Path, tiny: Path, *, number: int, code: int
) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((200_000, 4, 4, 1), np.uint8))
    out = tmp_path / "out"
    options = ("--package", tiny, "--out", out, "--ray", cluster.address, "--partition-rows", 10_000)
    command = [sys.executable, "-m", "vaeserve", "job", "encode", tmp_path / "rows.npy", *options, "--batch-rows", 1]
    job = subprocess.Popen([*map(str, command)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    until(lambda: [*(out / "_job" / "done").glob("*.json")])
    job.send_signal(number)
    _, errors = job.communicate()
    assert job.returncode == code, errors
    assert " of 20 partitions are done; run the same command to go on" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert [path for path in out.iterdir() if not path.name.startswith("part-") and path.name != "_job"] == []


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_the_process_has_joined_stays_joined(
    cluster: "Cluster", tmp_path: Path, tiny: Path, rows_file: Path
) -> None:
    import ray

    ray.init(address=cluster.address, log_to_driver=False)
    run("encode", rows_file, tmp_path / "out", tiny, HowToRun(ray="auto"))
    assert ray.is_initialized()
    ray.shutdown()
    run("encode", rows_file, tmp_path / "own", tiny)
    assert hashes(tmp_path / "out") == hashes(tmp_path / "own")


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    """Rows of the tiny package, in a file."""
    np.save(tmp_path / "rows.npy", np.zeros((1000, 4, 4, 1), np.uint8))
    return tmp_path / "rows.npy"
