import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from jobs.rows import Span
from jobs.sources.opening import open_source
from tests.jobs.sources.conftest import IMAGES, ReadAll, png, read, spans_of
from vaeserve.errors import InvalidInput


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    for shard in (0, 1):
        members = dict[str, bytes]()
        for key in range(9, -1, -1):  # the tar's order, not that of names
            members[f"./{key}.png"] = png(100 * shard + key)
            members[f"./{key}.json"] = b"{}"
            members[f"./._{key}.png"] = b"left by Finder"
        write_tar(folder / f"shard-{shard:03}.tar", members)
    return folder


def test_pictures_are_rows_in_the_tars_order(folder: Path, read_all: ReadAll) -> None:
    everything = read_all(folder, IMAGES)
    assert everything.sources[:2] == ["shard-000.tar/9.png", "shard-000.tar/8.png"]
    assert everything.source_rows == [*range(10)] * 2
    assert everything.rows[:, 0, 0, 0].tolist() == [*range(9, -1, -1), *range(109, 99, -1)]
    assert everything.errors == {}


def test_rows_are_found_wherever_they_lie(folder: Path) -> None:
    source = open_source([str(folder)], IMAGES)
    first, second = spans_of(source)
    wanted = [first._replace(start=3, stop=5), first._replace(start=0, stop=2), second._replace(start=9)]
    assert read(source, wanted, 2).rows[:, 0, 0, 0].tolist() == [6, 5, 9, 8, 100]
    with pytest.raises(InvalidInput, match=r"holds 10 pictures, not 11$"):
        list(source.read([Span(first.file, first.sha256, 10, 11, first.stamp)], 1))
    source.close()


def test_bad_members_are_error_rows(tmp_path: Path, read_all: ReadAll) -> None:
    path = write_tar(tmp_path / "a.tar", {"1.png": png(1), "2.png": b"", "3.png": png(3)[:50]})
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("4.png")
        link.type, link.linkname = tarfile.LNKTYPE, "1.png"
        archive.addfile(link)
    assert read_all(path, IMAGES).errors == {
        1: "is not a PNG, JPEG, WebP or TIFF",
        2: "is not an intact PNG",
        3: "is a link within the archive, not a picture",
    }


@pytest.mark.parametrize(("cut", "problem"), [(512 * 3 + 9, "cut short|unexpected end"), (512 * 2, "cut short")])
def test_a_tar_that_is_cut_short_is_one_line(tmp_path: Path, cut: int, problem: str) -> None:
    path = write_tar(tmp_path / "a.tar", {"1.png": png(1), "2.png": png(2)})
    path.write_bytes(path.read_bytes()[:cut])
    source = open_source([str(path)], IMAGES)
    with pytest.raises(InvalidInput, match=f"a.tar: is not an intact .tar file: .*({problem})"):
        list(source.files())
    source.close()


def test_a_damaged_header_or_a_second_archive_behind_the_first_is_one_line(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", {"1.png": png(1), "2.png": png(2)})
    content = bytearray(path.read_bytes())
    for altered in (content + content, content[:1024] + b"x" * 512 + content[1536:]):
        path.write_bytes(altered)
        source = open_source([str(path)], IMAGES)
        with pytest.raises(InvalidInput, match=r"goes on after its end|cut short or damaged"):
            list(source.files())
        source.close()


def test_an_archive_that_changes_under_the_job_is_one_line(folder: Path) -> None:
    source = open_source([str(folder)], IMAGES)
    spans = spans_of(source)
    (folder / "shard-001.tar").touch()  # the same content: it is hashed, and goes on
    np.testing.assert_array_equal(len(read(source, spans, 7).rows), 20)
    write_tar(folder / "shard-001.tar", {"1.png": png(1)})
    with pytest.raises(InvalidInput, match=r"shard-001.tar: has changed since the job was planned: --update takes it$"):
        read(source, spans, 7)
    source.close()


def test_archives_without_pictures_are_one_line(tmp_path: Path) -> None:
    source = open_source([str(write_tar(tmp_path / "a.tar", {"1.json": b"{}"}))], IMAGES)
    with pytest.raises(InvalidInput, match="holds no pictures"):
        list(source.files())
    source.close()
