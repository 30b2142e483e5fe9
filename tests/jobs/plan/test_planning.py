"""A job is planned once; a rerun finds the plan, or says in one line what differs."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.job import HowToRun
from jobs.plan.folder import JobFolder
from jobs.plan.plan import Plan
from jobs.sources.listing import Listing
from tests.support.jobs import faults, hashes, run, table_of, write_picture
from tests.support.make_float_package import make
from tests.support.servers import ROOT, VAE
from vaeserve.errors import InvalidInput
from vaeserve.package.row_spec import Array

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture
def begun(rows_file: Path, tmp_path: Path, tiny: Path) -> Path:
    """A job that is done."""
    run("encode", rows_file, tmp_path / "out", tiny, output="sample", seed=7)
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"seed": 8}, "--seed: is 8, the job in .* was begun with 7"),
        ({"output": "mean"}, "--output: is mean, the job in .* was begun with sample"),
        ({"format": "npy"}, "--format: is npy, the job in .* was begun with parquet"),
        ({"partition_rows": 10}, "--partition-rows: is 10, the job in .* was begun with 150"),
        ({"keep": ("a",)}, "--keep: is a, the job in .* was begun with none"),
    ],
)
def test_a_rerun_with_other_settings_says_which(
    begun: Path, rows_file: Path, tiny: Path, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        run("encode", rows_file, begun, tiny, **asked)


def test_a_rerun_with_another_verb_says_so(begun: Path, rows_file: Path, tiny: Path) -> None:
    with pytest.raises(InvalidInput, match=r"the verb: is reconstruct, the job in .* was begun with encode"):
        run("reconstruct", rows_file, begun, tiny)


def test_a_folder_of_other_things_is_left_alone(rows_file: Path, tmp_path: Path, tiny: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="full: is not empty and holds no job"):
        run("encode", rows_file, tmp_path / "full", tiny)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_a_changed_source_is_refused_and_an_update_takes_it(
    begun: Path, rows_file: Path, tiny: Path, pictures: Array
) -> None:
    np.save(rows_file, pictures[::-1])
    with pytest.raises(InvalidInput, match=r"1 file changed \(first: rows.npy\); --update takes the source as it is"):
        run("encode", rows_file, begun, tiny)
    run("encode", rows_file, begun, tiny, HowToRun(workers=1, update=True))
    assert faults(begun) == []
    assert sorted(table_of(begun)["row"].to_pylist()) == [*range(1000, 2000)]


def test_an_update_computes_what_is_new_and_keeps_the_rest(tmp_path: Path, tiny: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    for number in range(10):
        write_picture(source / f"{number}.png", number)
    run("encode", source, out, tiny, partition_rows=4)
    before = hashes(out)
    assert [*before] == [f"part-{number:05d}-of-00003.parquet" for number in range(3)]

    assert (out / "_job" / "manifest.json").exists()
    write_picture(source / "5.png", 99)  # changed, at the same size
    (source / "0.png").unlink()
    write_picture(source / "new.png", 7)
    run("encode", source, out, tiny, HowToRun(workers=1, update=True), partition_rows=4)
    after = hashes(out)
    kept = "part-00002-of-00003.parquet"
    assert {name: after[name] for name in after if name in before} == {kept: before[kept]}
    partitions = JobFolder(out).read_plan().partitions
    assert {path.stem for path in (out / "_job" / "spans").iterdir()} == {each.spans for each in partitions}
    assert faults(out) == []
    run("encode", source, tmp_path / "fresh", tiny, partition_rows=4)
    assert _latents(out) == _latents(tmp_path / "fresh")
    assert sorted(_latents(out)) == sorted(path.name for path in source.iterdir())
    assert run("encode", source, out, tiny, HowToRun(workers=1, update=True), partition_rows=4).rows == 10
    assert hashes(out) == after


def _latents(out: Path) -> dict[str, list[float]]:
    table = table_of(out)
    return dict(zip(table["source"].to_pylist(), table["latent"].to_pylist(), strict=True))


@pytest.mark.parametrize("step", ["write_spans", "drop", "replace_plan", "drop_spans"])
@pytest.mark.parametrize("is_before", [True, False])
def test_an_update_that_was_killed_can_be_repeated(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, step: str, *, is_before: bool
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    for number in range(6):
        write_picture(source / f"{number}.png", number)
    run("encode", source, out, tiny, partition_rows=4)
    (source / "1.png").unlink()
    original = getattr(JobFolder, step)

    def killed(*arguments: object) -> None:
        if not is_before:
            original(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(JobFolder, step, killed)
        with pytest.raises(KeyboardInterrupt):
            run("encode", source, out, tiny, HowToRun(workers=1, update=True), partition_rows=4)
    assert JobFolder(out).summary.exists() == (step == "write_spans")  # it tells of partitions that are dropped
    run("encode", source, out, tiny, HowToRun(workers=1, update=True), partition_rows=4)
    assert faults(out) == []
    assert sorted(table_of(out)["source"].to_pylist()) == [f"{number}.png" for number in (0, 2, 3, 4, 5)]


def test_a_source_that_changes_during_an_update_is_read_once(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    for number in range(3):
        write_picture(source / f"{number}.png", number)
    run("encode", source, out, tiny)
    names = Listing.names

    def names_and_one_more(listing: Listing) -> Iterator[str]:
        yield from names(listing)
        write_picture(source / "late.png", 77)

    write_picture(source / "new.png", 4)
    monkeypatch.setattr(Listing, "names", names_and_one_more)
    run("encode", source, out, tiny, HowToRun(workers=1, update=True))
    assert sorted(_latents(out)) == ["0.png", "1.png", "2.png", "new.png"]
    assert [path.name for path in out.iterdir() if not path.name.startswith("part-")] == ["_job"]
    monkeypatch.undo()
    with pytest.raises(InvalidInput, match=r"1 file added \(first: late.png\); --update takes the source as it is"):
        run("encode", source, out, tiny)


def test_another_pair_is_refused(begun: Path, rows_file: Path, tiny: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other", (4, 4, 1)).directory
    with pytest.raises(InvalidInput, match=r"the model: is pair \w{12}..., the job in .* was begun with \w{12}"):
        run("encode", rows_file, begun, other)


def test_the_first_of_two_plans_wins(begun: Path, rows_file: Path, tiny: Path, tmp_path: Path) -> None:
    folder = JobFolder(begun)
    plan = folder.read_plan()
    assert folder.publish_plan(plan.model_copy(update={"rows": 5})) == plan
    assert not [*(begun / "_job").glob(".*")]


def test_a_job_that_another_process_plans_meanwhile_keeps_its_spans(
    rows_file: Path, tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, publish = tmp_path / "out", JobFolder.publish_plan

    def publish_late(folder: JobFolder, plan: Plan) -> Plan:
        monkeypatch.undo()
        run("encode", rows_file, out, tiny, partition_rows=333)
        return publish(folder, plan)

    monkeypatch.setattr(JobFolder, "publish_plan", publish_late)
    with pytest.raises(InvalidInput, match=r"--partition-rows: is 150, the job in .* was begun with 333"):
        run("encode", rows_file, out, tiny)
    assert len([*(out / "_job" / "spans").iterdir()]) == 4
    assert faults(out) == []


def test_too_little_space_is_said_before_anything_is_computed(tmp_path: Path, tiny: Path) -> None:
    with pytest.raises(
        InvalidInput, match=r"needs about \d{1,3}(,\d{3})+\.\d GiB for 100,000,000,000,000 rows, .* [GM]iB are free"
    ):
        run("sample", (), tmp_path / "out", tiny, count=10**14, partition_rows=2**30)
    assert not (tmp_path / "out").exists()


def test_a_source_that_has_moved_is_read_from_its_new_place(
    begun: Path, rows_file: Path, tiny: Path, tmp_path: Path
) -> None:
    expected = hashes(begun)
    moved = tmp_path / "moved" / rows_file.name
    moved.parent.mkdir()
    rows_file.rename(moved)
    (begun / "_job" / "done" / "00002.json").unlink()
    run("encode", moved, begun, tiny)
    assert hashes(begun) == expected


@pytest.mark.parametrize("within", ["", "out", "a/b"])
def test_a_job_does_not_write_into_its_source(tmp_path: Path, tiny: Path, within: str) -> None:
    write_picture(tmp_path / "source" / "1.png", 1)
    with pytest.raises(InvalidInput, match=r"lies inside the source .*source: name a folder outside"):
        run("encode", tmp_path / "source", tmp_path / "source" / within, tiny)
    assert [path.name for path in (tmp_path / "source").iterdir()] == ["1.png"]


def test_a_job_that_cannot_be_planned_leaves_nothing(tmp_path: Path, tiny: Path) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((3, 5, 4, 1), np.uint8))
    with pytest.raises(InvalidInput, match=r"has shape \[3, 5, 4, 1\]"):
        run("encode", tmp_path / "rows.npy", tmp_path / "out", tiny)
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_one_line_and_loses_nothing(rows_file: Path, tmp_path: Path, tiny: Path) -> None:
    out, limit = tmp_path / "out", 2  # blocks of 512 bytes, which hold the plan and no partition
    command = [*VAE, "job", "encode", str(rows_file), "--package", str(tiny), "--out", str(out)]
    command += ["--partition-rows", "150", "--batch-rows", "64"]
    run("encode", rows_file, out, tiny)
    done = hashes(out)
    (out / "_job" / "done" / "00004.json").unlink()
    (out / "part-00004-of-00007.parquet").unlink()
    full = subprocess.run(
        ["sh", "-c", f'ulimit -f {limit}; exec "$@"', "sh", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert full.returncode == 1
    assert "part-00004-of-00007.parquet: cannot be written: File too large" in full.stderr.splitlines()[-1]
    assert {name: done[name] for name in done if "00004" not in name} == hashes(out)
    assert not [*out.glob(".*")]
    run("encode", rows_file, out, tiny)
    assert hashes(out) == done


def test_a_source_without_rows_is_refused(tmp_path: Path, tiny: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="empty"):
        run("encode", tmp_path / "empty", tmp_path / "out", tiny)
