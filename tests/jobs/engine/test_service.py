"""A running service computes a job: the same rows as the package, through restarts and rows without an answer."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.engine.answers import Work
from jobs.engine.opening import open_computer, plan_engine
from jobs.engine.package import PackageComputer, open_package
from jobs.job import Allowance, HowToRun, run_job
from jobs.plan.request import JobRequest
from jobs.python import engine_of
from jobs.report.summary import Summary
from jobs.run.progress import Speaker
from tests.support.jobs import faults, hashes, run, table_of
from tests.support.make_float_package import make
from tests.support.servers import RunningServer, StartServer, until
from vaeserve.client.blocking import Client
from vaeserve.client.results import Sampled
from vaeserve.package.row_spec import Array


def run_on(target: str, verb: str, source: Path | None, out: Path, **asked: Any) -> Summary:  # noqa: ANN401
    """Runs a job on a service, with partitions as `run` has."""
    how = HowToRun(workers=1, allowance=Allowance(10**6))
    seconds = asked.pop("timeout_seconds", 120.0)
    asked = {"partition_rows": 150, "batch_rows": 64} | asked
    request = JobRequest.parse(verb=verb, addresses=() if source is None else (str(source),), **asked)
    engine = engine_of({"target": target, "timeout_seconds": seconds})
    return run_job(request, engine, out, how, Speaker("quiet"))


@pytest.mark.parametrize(
    ("verb", "asked"),
    [
        ("encode", {}),
        ("encode", {"output": "sample", "seed": 5}),
        ("encode", {"output": "moments", "flip": True}),
        ("encode", {"output": "sample", "seed": 5, "flip": True}),
        ("reconstruct", {}),
        ("reconstruct", {"output": "sample", "seed": 5}),
        ("sample", {"count": 1000, "seed": 5, "temperature": 0.5}),
        ("sample", {"count": 1000, "seed": 5, "output": "expectation", "format": "safetensors"}),
    ],
)
def test_a_service_gives_the_bytes_of_its_package(
    server: RunningServer, rows_file: Path, tmp_path: Path, tiny: Path, *, verb: str, asked: dict[str, Any]
) -> None:
    source = None if verb == "sample" else rows_file
    run_on(server.target, verb, source, tmp_path / "served", **asked)
    run(verb, () if source is None else source, tmp_path / "own", tiny, **asked)
    assert hashes(tmp_path / "served") == hashes(tmp_path / "own")
    assert faults(tmp_path / "served") == []


def test_calls_that_draw_are_on_their_way_at_once(
    server: RunningServer, tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, together, first_rows = Client.sample, threading.Barrier(2), list[int]()

    def sample(client: Client, count: int, **options: Any) -> Sampled:  # noqa: ANN401
        first_rows.append(options["first_row"])
        if options["first_row"] < 2 * 8192:
            together.wait(60)
        return draw(client, count, **options)

    monkeypatch.setattr(Client, "sample", sample)
    choice = engine_of({"target": server.target})
    facts = plan_engine(choice, "sample", 1, 64).facts
    settings = JobRequest(verb="sample", count=20_000, seed=5).settings(facts, 64)
    computer = open_computer(choice, facts, settings)
    (answers,) = computer.answers([Work(0, 20_000, None)])
    computer.close()
    assert sorted(first_rows) == [0, 8192, 16_384]
    opened = open_package(tiny, "cpu", 1, 64)
    (expected,) = PackageComputer(opened, settings).answers([Work(0, 20_000, None)])
    assert answers.columns["output"].tobytes() == expected.columns["output"].tobytes()


def test_latents_are_decoded_by_a_service(server: RunningServer, rows_file: Path, tmp_path: Path, tiny: Path) -> None:
    run("encode", rows_file, tmp_path / "latents", tiny)
    run_on(server.target, "decode", tmp_path / "latents", tmp_path / "served")
    run("decode", tmp_path / "latents", tmp_path / "own", tiny)
    assert hashes(tmp_path / "served") == hashes(tmp_path / "own")


def test_small_limits_of_a_service_change_nothing(
    start_server: StartServer, rows_file: Path, tmp_path: Path, tiny: Path
) -> None:
    target = start_server("--call-rows", "7", "--batch-rows", "3").target
    run_on(target, "encode", rows_file, tmp_path / "served")
    run("encode", rows_file, tmp_path / "own", tiny)
    assert hashes(tmp_path / "served") == hashes(tmp_path / "own")


def test_a_service_that_is_killed_and_started_again_changes_no_byte(
    start_server: StartServer, tmp_path: Path, tiny: Path, port: str, pictures: Array
) -> None:
    np.save(tmp_path / "rows.npy", np.tile(pictures, (60, 1, 1, 1)))
    asked: dict[str, Any] = {"output": "sample", "seed": 5, "partition_rows": 2000}
    run("encode", tmp_path / "rows.npy", tmp_path / "own", tiny, **asked)
    out, done = tmp_path / "out", threading.Event()
    server = start_server("--port", port)

    def job() -> None:
        run_on(server.target, "encode", tmp_path / "rows.npy", out, **asked)
        done.set()

    thread = threading.Thread(target=job)
    thread.start()
    for restart in range(5):
        markers = 5 * restart
        until(lambda markers=markers: len([*(out / "_job" / "done").glob("*")]) > markers or done.is_set())  # type: ignore[misc]
        server.process.kill()
        server.process.communicate()
        server = start_server("--port", port)
    thread.join(120)
    assert done.is_set()
    assert hashes(out) == hashes(tmp_path / "own")
    assert faults(out) == []


def test_a_service_that_stays_away_ends_the_job_which_goes_on_later(
    start_server: StartServer, rows_file: Path, tmp_path: Path, tiny: Path, port: str
) -> None:
    out = tmp_path / "out"
    server = start_server("--port", port)
    run_on(server.target, "encode", rows_file, out)
    server.stop()
    (out / "_job" / "done" / "00003.json").unlink()
    with pytest.raises(Exception, match="nothing listens at"):
        run_on(server.target, "encode", rows_file, out)
    start_server("--port", port)
    run_on(server.target, "encode", rows_file, out)
    run("encode", rows_file, tmp_path / "own", tiny)
    assert hashes(out) == hashes(tmp_path / "own")


def test_another_pair_under_the_same_name_ends_the_job(
    start_server: StartServer, rows_file: Path, tmp_path: Path, port: str
) -> None:
    from jobs.plan.folder import JobFolder

    server = start_server("--port", port)
    out = tmp_path / "out"
    run_on(server.target, "encode", rows_file, out)
    plan = JobFolder(out).read_plan()
    other = plan.model.model_copy(update={"fingerprint": "0" * 64})
    computer = open_computer(engine_of({"target": server.target}), other, plan.settings)
    with pytest.raises(Exception, match=r"model tiny is pair \w{12}... now, this job began with 000000000000"):
        list(computer.answers([Work(0, 1, plan.model.data.blank(1))]))
    computer.close()


def test_rows_without_an_answer_are_errors_and_their_neighbours_are_not(
    start_server: StartServer, tmp_path: Path
) -> None:
    package = make(tmp_path / "package", (2,), scale=1e38, minimum=-1e30, maximum=1e30).directory
    rows = np.full((1000, 2), 0.25, np.float32)
    rows[[3, 70, 999]] = 1e30  # whose means are infinite
    np.save(tmp_path / "rows.npy", rows)
    target = start_server(package=package).target
    run_on(target, "encode", tmp_path / "rows.npy", tmp_path / "served")
    table = table_of(tmp_path / "served")
    assert [row for row, error in enumerate(table["error"].to_pylist()) if error] == [3, 70, 999]
    run("encode", tmp_path / "rows.npy", tmp_path / "own", package, HowToRun(workers=1, allowance=Allowance(9)))
    assert hashes(tmp_path / "served") == hashes(tmp_path / "own")
