"""Jobs from end to end: whoever computes the partitions, the bytes are the same."""

import os
import random
import signal
import subprocess
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.job import Allowance, HowToRun, Shard
from jobs.plan.folder import JobFolder
from jobs.plan.plan import Partition
from jobs.run.messages import Begin, Event, PartitionLost
from jobs.run.workers import Workers, _Process, _Shares
from tests.support.jobs import engine, faults, hashes, run, table_of
from tests.support.servers import ROOT, VAE, RunningServer, until
from vaeserve.client.blocking import Client
from vaeserve.errors import InvalidInput, JobError
from vaeserve.package.row_spec import Array


@pytest.fixture(scope="module")
def expected(tiny: Path, tmp_path_factory: pytest.TempPathFactory, pictures: Array) -> dict[str, str]:
    """The bytes of the job in one process that nothing disturbs: samples of the posterior."""
    folder = tmp_path_factory.mktemp("expected")
    np.save(folder / "rows.npy", pictures)
    run("encode", folder / "rows.npy", folder / "out", tiny, output="sample", seed=7)
    return hashes(folder / "out")


def test_rows_are_what_the_service_answers(
    rows_file: Path, tmp_path: Path, tiny: Path, server: RunningServer, pictures: Array
) -> None:
    summary = run("encode", rows_file, tmp_path / "out", tiny, output="sample", seed=7)
    with Client(server.target) as client:
        served = client.encode(pictures, output="sample", seed=7)
    table = table_of(tmp_path / "out")
    assert np.array(table["latent"].to_pylist(), np.float32).tobytes() == served.latent.tobytes()
    assert table["row"].to_pylist() == [*range(1000)]
    assert table["source_row"].to_pylist() == [*range(1000)]
    assert set(table["source"].to_pylist()) == {"rows.npy"}
    assert (summary.done_rows, summary.error_rows, summary.partitions) == (1000, 0, 7)
    assert faults(tmp_path / "out") == []
    assert table.schema.metadata[b"vaeserve.fingerprint"].decode() == served.fingerprint
    assert table.schema.metadata[b"vaeserve.seed"] == b"7"


def test_a_seeded_row_is_the_same_whatever_the_partitions(
    rows_file: Path, tmp_path: Path, tiny: Path, expected: dict[str, str]
) -> None:
    run("encode", rows_file, tmp_path / "one", tiny, output="sample", seed=7)
    run("encode", rows_file, tmp_path / "other", tiny, output="sample", seed=7, partition_rows=333, batch_rows=50)
    one, other = table_of(tmp_path / "one"), table_of(tmp_path / "other")
    assert one["latent"].to_pylist() == other["latent"].to_pylist()
    assert hashes(tmp_path / "one") == expected


def test_two_processes_give_the_same_bytes(
    rows_file: Path, tmp_path: Path, tiny: Path, expected: dict[str, str]
) -> None:
    run("encode", rows_file, tmp_path / "out", tiny, HowToRun(workers=2), output="sample", seed=7)
    assert hashes(tmp_path / "out") == expected


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_shards_in_any_order_give_the_same_bytes(
    rows_file: Path, tmp_path: Path, tiny: Path, expected: dict[str, str], order: tuple[int, ...]
) -> None:
    out = tmp_path / "out"
    for number in order:
        assert not JobFolder(out).summary.exists()
        run("encode", rows_file, out, tiny, HowToRun(workers=1, shard=Shard(number, 3)), output="sample", seed=7)
    assert hashes(out) == expected
    assert JobFolder(out).summary.exists()


def test_a_folder_of_answers_is_a_data_set_of_parquet(rows_file: Path, tmp_path: Path, tiny: Path) -> None:
    run("encode", rows_file, tmp_path / "out", tiny)
    assert pq.read_table(tmp_path / "out")["row"].to_pylist() == [*range(1000)]


def test_a_job_that_is_done_is_not_computed_again(rows_file: Path, tmp_path: Path, tiny: Path) -> None:
    out = tmp_path / "out"
    run("encode", rows_file, out, tiny)
    written = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert run("encode", rows_file, out, tiny).done_partitions == 7
    assert {path: path.stat().st_mtime_ns for path in out.glob("part-*")} == written
    marker = out / "_job" / "done" / "00003.json"
    marker.unlink()  # nothing else makes rows count as done
    run("encode", rows_file, out, tiny)
    assert [path for path, time in written.items() if path.stat().st_mtime_ns != time] == [
        out / "part-00003-of-00007.parquet"
    ]


class Murderous(Workers):
    """Kills a worker at some of the moments at which one says something."""

    def __init__(self, begin: Begin, count: int, kills: int) -> None:
        super().__init__(begin, count)
        self.kills, self._random = kills, random.Random(0)

    def run(self, partitions: Sequence[Partition]) -> Iterator[Event]:
        for event in super().run(partitions):
            if self.kills and self._processes and self._random.random() < 0.5:
                victim = self._random.choice(self._processes)
                os.kill(victim._process.pid, signal.SIGKILL)
                self.kills -= 1
            yield event


def test_killed_workers_are_replaced_and_change_no_byte(
    rows_file: Path, tmp_path: Path, tiny: Path, expected: dict[str, str]
) -> None:
    out = tmp_path / "out"
    run("encode", rows_file, out, tiny, HowToRun(workers=1, shard=Shard(0, 100)), output="sample", seed=7)
    folder = JobFolder(out)
    plan = folder.read_plan()
    undone = [partition for partition in plan.partitions if not folder.is_done(partition)]
    workers = Murderous(Begin(out=out, engine=engine(tiny)), 2, kills=4)
    events = [*workers.run(undone)]
    workers.close()
    assert workers.kills == 0
    assert any(isinstance(event, PartitionLost) for event in events)
    assert all(map(folder.is_done, plan.partitions))
    assert hashes(out) == expected
    assert faults(out) == []


class Deadly(Workers):
    """Kills every worker that is handed a partition."""

    def _hand_out(self, process: _Process, shares: _Shares) -> None:
        super()._hand_out(process, shares)
        os.kill(process._process.pid, signal.SIGKILL)


def test_a_partition_that_keeps_killing_its_worker_ends_the_job(rows_file: Path, tmp_path: Path, tiny: Path) -> None:
    out = tmp_path / "out"
    run("encode", rows_file, out, tiny, HowToRun(workers=1, shard=Shard(1, 100)))
    workers = Deadly(Begin(out=out, engine=engine(tiny)), 1)
    with pytest.raises(JobError, match="partition 00000: signal 9 killed its worker 5 times"):
        list(workers.run(JobFolder(out).read_plan().partitions[:1]))
    workers.close()


def _encode_command(rows_file: Path, package: Path, out: Path, *, workers: int) -> list[str]:
    """Returns the command of the job that `expected` has the hashes of."""
    command = [*VAE, "job", "encode", str(rows_file), "--package", str(package), "--out", str(out), "--seed", "7"]
    command += ["--output", "sample", "--partition-rows", "150", "--batch-rows", "64"]
    return [*command, "--workers", str(workers)]


def test_a_killed_driver_takes_its_workers_along_and_loses_nothing(
    rows_file: Path, tmp_path: Path, tiny: Path, expected: dict[str, str]
) -> None:
    out = tmp_path / "out"
    command = _encode_command(rows_file, tiny, out, workers=2)
    for done in range(1, 4):
        driver = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(partial(_has_markers, out, done))
        driver.kill()
        driver.wait()
    assert subprocess.run(command, cwd=ROOT, check=True, capture_output=True).returncode == 0
    assert hashes(out) == expected
    assert faults(out) == []


def test_two_drivers_of_one_job_do_each_other_no_harm(
    rows_file: Path, tmp_path: Path, tiny: Path, expected: dict[str, str]
) -> None:
    out = tmp_path / "out"
    command = _encode_command(rows_file, tiny, out, workers=1)
    drivers = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [driver.communicate()[1] for driver in drivers] == ["", ""]
    assert [driver.returncode for driver in drivers] == [0, 0]
    assert hashes(out) == expected
    assert faults(out) == []


def test_a_fault_of_a_worker_ends_the_job_at_once(rows_file: Path, tmp_path: Path, tiny: Path) -> None:
    out = tmp_path / "out"
    run("encode", rows_file, out, tiny, HowToRun(workers=1, shard=Shard(1, 100)))
    folder = JobFolder(out)
    _, _, second, third, *_ = folder.read_plan().partitions
    folder.write_spans(third.spans, folder.read_spans(second) * 2)  # more rows than the plan knows of
    with pytest.raises(JobError, match="a worker ended with exit code 1 in partition 00003: see above"):
        run("encode", rows_file, out, tiny)
    assert not [*out.glob(".*")]
    assert faults(out) == [
        "4 of 7 partitions are not done (first: part-00003-of-00007.parquet): run the job to its end"
    ]


@pytest.mark.parametrize("place", ["source", "out", "package"])
def test_paths_that_no_plan_can_hold_are_refused(rows_file: Path, tmp_path: Path, tiny: Path, place: str) -> None:
    odd = tmp_path / os.fsdecode(b"odd\xff")
    paths = {"source": rows_file, "out": tmp_path / "out", "package": tiny} | {place: odd}
    with pytest.raises(InvalidInput, match=r"odd\\udcff: is a path that is not UTF-8"):
        run("encode", paths["source"], paths["out"], paths["package"])
    assert not paths["out"].exists()


def _has_markers(out: Path, count: int) -> bool:
    return len([*(out / "_job" / "done").glob("*.json")]) >= count


def test_rows_that_may_fail() -> None:
    assert [Allowance.parse(text).of(10_000) for text in ("20", "0", "0.1%", "0%", "50%")] == [20, 0, 10, 1, 5000]
    for text in ("", "x", "-1", "101%", "nan%", "0.1"):
        with pytest.raises(InvalidInput, match="must be a number of rows, or a share"):
            Allowance.parse(text)


def test_shards_are_parsed() -> None:
    assert Shard.parse("2/3") == Shard(2, 3)
    for text in ("3/3", "1", "a/b", "-1/3", "1/0", "1/2/3", ""):
        with pytest.raises(InvalidInput, match="must be I/N"):
            Shard.parse(text)


def test_a_job_that_is_not_finished_is_not_taken_for_a_whole_source(
    rows_file: Path, tmp_path: Path, tiny: Path
) -> None:
    run("encode", rows_file, tmp_path / "latents", tiny, HowToRun(workers=1, shard=Shard(0, 7)))
    with pytest.raises(InvalidInput, match="latents: is a job of which 1 of 7 partitions are done: finish it first"):
        run("decode", tmp_path / "latents", tmp_path / "out", tiny)
    assert not (tmp_path / "out").exists()
    run("encode", rows_file, tmp_path / "latents", tiny)
    assert run("decode", tmp_path / "latents", tmp_path / "out", tiny).rows == 1000
