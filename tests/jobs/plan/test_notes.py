"""Files of a source are noted as they pass by, whatever their names."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from jobs.plan.notes import FileNotes
from jobs.rows import SizedRows, SourceFile
from vaeserve.errors import InvalidInput
from vaeserve.package.sizes import PictureSize

FILES = [
    SourceFile("a/1.png", "ab", 1),
    SourceFile(os.fsdecode(b'\xff\n"\xc3\xa9'), "", 0, "5 bytes at 7"),
    SourceFile("b.tar", "cd", 3, "", (SizedRows(1, PictureSize(20, 10)), SizedRows(2, None))),
]


def test_files_pass_and_come_again(tmp_path: Path) -> None:
    with closing(FileNotes(tmp_path)) as notes:
        assert [*notes.take(FILES)] == FILES
        assert [*notes.files()] == [*notes.files()] == FILES
    assert not [*tmp_path.iterdir()]


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="none: cannot be written to: No such file or directory"):
        FileNotes(tmp_path / "none")
