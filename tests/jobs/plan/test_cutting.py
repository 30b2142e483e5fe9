"""Files are cut into spans of partitions without a gap."""

import hashlib

import pytest

from jobs.plan.cutting import Cut, SourceDigest, cut, own
from jobs.rows import SizedRows, SourceFile, Span
from vaeserve.package.sizes import PictureSize

FILES = [SourceFile("a", "1", 3), SourceFile("b", "2", 0), SourceFile("c", "3", 7, "stamp")]


@pytest.mark.parametrize("size", range(1, 12))
def test_every_row_is_in_one_partition_in_order(size: int) -> None:
    parts = [each.spans for each in cut(FILES, size, own)]
    assert [sum(span.rows for span in part) for part in parts[:-1]] == [size] * (len(parts) - 1)
    rows = [(span.file, row) for part in parts for span in part for row in range(span.start, span.stop)]
    assert rows == [("a", row) for row in range(3)] + [("c", row) for row in range(7)]


def test_spans_keep_what_their_file_was() -> None:
    assert [each.spans for each in cut(FILES, 4, own)] == [
        [Span("a", "1", 0, 3), Span("c", "3", 0, 1, "stamp")],
        [Span("c", "3", 1, 5, "stamp")],
        [Span("c", "3", 5, 7, "stamp")],
    ]


def test_rows_of_each_size_fill_partitions_of_their_own() -> None:
    high, wide = PictureSize(20, 10), PictureSize(10, 20)
    files = [
        SourceFile("a", "1", 5, sizes=(SizedRows(2, high), SizedRows(1, wide), SizedRows(2, high))),
        SourceFile("b", "2", 3, sizes=(SizedRows(1, high), SizedRows(1, None), SizedRows(1, high))),
    ]
    assert [*cut(files, 3, lambda size: size or wide)] == [
        Cut(high, [Span("a", "1", 0, 2), Span("a", "1", 3, 4)]),
        Cut(high, [Span("a", "1", 4, 5), Span("b", "2", 0, 1), Span("b", "2", 2, 3)]),
        Cut(wide, [Span("a", "1", 2, 3), Span("b", "2", 1, 2)]),
    ]
    # Pictures that follow each other in a file are one span.
    assert [*cut(files[:1], 5, lambda _: high)] == [Cut(high, [Span("a", "1", 0, 5)])]


def test_files_are_counted_and_hashed_as_they_pass() -> None:
    digest = SourceDigest(FILES)
    assert [*digest] == FILES
    assert (digest.files, digest.rows) == (3, 10)
    assert digest.digest == hashlib.sha256(b"a\x001\x003\nb\x002\x000\nc\x003\x007\n").hexdigest()
