"""What is new, changed and gone in a source; a file that lies in several partitions is computed once."""

from pathlib import Path

import numpy as np
import pytest

from jobs.job import HowToRun
from jobs.plan.changes import Changes, compare
from jobs.plan.cutting import cut, own
from jobs.plan.folder import JobFolder
from jobs.plan.plan import Partition, Plan
from jobs.rows import SourceFile
from tests.support.jobs import faults, run, table_of
from vaeserve.package.row_spec import Array

pytestmark = pytest.mark.usefixtures("in_process")

FILES = [SourceFile("a", "1", 4), SourceFile("b", "2", 3), SourceFile("c", "3", 6), SourceFile("d", "4", 3)]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> tuple[JobFolder, Plan]:
    """A plan of FILES in four partitions of four rows: a | b c | c | c d."""
    out = tmp_path_factory.mktemp("job") / "out"
    run("sample", (), out, tiny, count=16, seed=1)
    folder = JobFolder(out)
    partitions = []
    for number, (_, spans) in enumerate(cut(FILES, 4, own)):
        folder.write_spans(str(number), spans)
        rows = sum(span.rows for span in spans)
        partitions.append(
            Partition(key=str(number), spans=str(number), file=f"{number}", first_row=4 * number, rows=rows)
        )
    return folder, folder.read_plan().model_copy(update={"partitions": tuple(partitions)})


def _changed(name: str) -> list[SourceFile]:
    return [file._replace(sha256="new") if file.name == name else file for file in FILES]


@pytest.mark.parametrize(
    ("now", "files", "dropped", "text"),
    [
        (FILES, "", "", "nothing has changed"),
        ([SourceFile("0", "0", 5), *FILES], "0", "", "1 file added (first: 0)"),
        ([SourceFile("0", "0", 0), *FILES], "", "", "nothing has changed"),
        (_changed("a"), "a", "0", "1 file changed (first: a)"),
        (FILES[1:], "", "0", "1 file removed (first: a)"),
        # The partition of b holds some of c, which lies in all others but the first.
        (_changed("b"), "bcd", "123", "1 file changed (first: b)"),
        (_changed("d"), "bcd", "123", "1 file changed (first: d)"),
        ([FILES[0], FILES[2]], "c", "123", "2 files removed (first: b)"),
        (
            [SourceFile("0", "0", 1), *_changed("c")[:3]],
            "0bc",
            "123",
            "1 file added, 1 file changed, 1 file removed (first: 0)",
        ),
    ],
)
def test_changes_take_along_what_shares_a_partition(
    compared: tuple[JobFolder, Plan], now: list[SourceFile], files: str, dropped: str, text: str
) -> None:
    changes: Changes = compare(*compared, now)
    assert "".join(file.name for file in changes.files) == files
    assert "".join(partition.key for partition in changes.dropped) == dropped
    assert str(changes) == text


def test_rows_of_a_file_in_several_partitions_are_there_once_after_an_update(
    tmp_path: Path, tiny: Path, pictures: Array
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    for name, rows in (("a", pictures[:100]), ("b", pictures[100:600]), ("c", pictures[600:])):
        np.save(source / f"{name}.npy", rows)
    run("encode", source, out, tiny)
    np.save(source / "a.npy", pictures[:90])
    run("encode", source, out, tiny, HowToRun(workers=1, update=True))
    assert faults(out) == []
    run("encode", source, tmp_path / "fresh", tiny)
    assert _rows(out) == _rows(tmp_path / "fresh")


def _rows(out: Path) -> list[dict[str, object]]:
    """Returns the rows of a job in the order of the source."""
    order = [("source", "ascending"), ("source_row", "ascending")]
    rows: list[dict[str, object]] = table_of(out).sort_by(order).select(["source", "source_row", "latent"]).to_pylist()
    return rows
