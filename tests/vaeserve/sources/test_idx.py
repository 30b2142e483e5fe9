import gzip
import io
import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaeserve.errors import InvalidInput
from vaeserve.sources.idx import parse_idx, read_idx

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)


def idx(array: np.ndarray) -> bytes:
    shape = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes((0, 0, 8, array.ndim)) + shape + array.tobytes()


WHOLE = idx(IMAGES)
PACKED = gzip.compress(WHOLE, mtime=0)  # no clock in what names tests: each worker collects them


@pytest.mark.parametrize("content", [WHOLE, PACKED], ids=["plain", "packed"])
def test_what_was_written_is_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(content)
    np.testing.assert_array_equal(read_idx(tmp_path / "images", 3), IMAGES, strict=True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "f: is empty"),
        (b"\x89PNG" + WHOLE, "f: begins with 89504e47, an IDX file of this kind with 00000803"),
        (idx(IMAGES[0, 0]), "f: begins with 00000801"),
        (b"\0\0\x0d\x03" + WHOLE[4:], "f: begins with 00000d03"),
        (WHOLE[:9], "f: is cut short in its header"),
        (WHOLE[:-1], r"f: is cut short: its header says \[5, 4, 3\], 60 bytes"),
        (WHOLE + b"x", "f: goes on after its end"),
        (gzip.compress(WHOLE[:-1], mtime=0), "f: is cut short"),
        (gzip.compress(WHOLE + b"x", mtime=0), "f: goes on after its end"),
        (PACKED[:-9], "f: is not an intact gzip file, or is cut short"),
        (PACKED[:30] + b"\0\0\0" + PACKED[33:], "f: is not an intact gzip file, or is cut short"),
        (idx(IMAGES[:0]), r"f: is empty: its header says \[0, 4, 3\]"),
        (WHOLE[:4] + b"\x7f" * 12, "f: needs .* GiB of memory"),
        (WHOLE[:4] + b"\xff" * 8 + WHOLE[12:], r"f: has a negative count in its header: \[-1, -1, 3\]$"),
    ],
)
def test_what_is_no_idx_file_is_told_so(content: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse_idx(io.BytesIO(content), "f", 3)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nowhere: cannot be read: No such file"):
        read_idx(tmp_path / "nowhere", 3)


def test_a_header_that_lies_costs_no_memory() -> None:
    content = bytes((0, 0, 8, 3)) + struct.pack(">3I", 1000, 1000, 1000) + bytes(1000)
    tracemalloc.start()
    with pytest.raises(InvalidInput, match="is cut short"):
        parse_idx(io.BytesIO(gzip.compress(content)), "f", 3)
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


@given(st.sampled_from([WHOLE, PACKED]), st.integers(0, 75), st.binary(max_size=6), st.integers(0, 6))
def test_altered_files_raise_nothing_else(content: bytes, place: int, put: bytes, cut: int) -> None:
    with suppress(InvalidInput):
        parse_idx(io.BytesIO(content[:place] + put + content[place + cut :]), "f", 3)


@given(st.binary(max_size=100), st.integers(1, 3))
def test_any_bytes_raise_nothing_else(content: bytes, dimensions: int) -> None:
    with suppress(InvalidInput):
        parse_idx(io.BytesIO(content), "f", dimensions)
