"""Compressed TIFF files, which libtiff decodes for Pillow."""

import io
import subprocess
import sys
from pathlib import Path
from struct import pack, unpack_from

import numpy as np
import pytest
from PIL import Image

from vaeserve.errors import InvalidInput
from vaeserve.sources.picture import Wanted, decode_picture

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)
ORIENTATION, SAMPLES = 274, 277


def tiff(compression: str, mode: str = "L") -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(file, "TIFF", compression=compression, tiffinfo={ORIENTATION: 1})
    return file.getvalue()


def with_tag(content: bytes, tag: int, value: int) -> bytes:
    """Returns a file with another value of a tag that it has."""
    (directory,) = unpack_from("<I", content, 4)
    (count,) = unpack_from("<H", content, directory)
    at = next(at for i in range(count) if unpack_from("<H", content, at := directory + 2 + 12 * i) == (tag,))
    return content[: at + 8] + pack("<H", value) + content[at + 10 :]


def damaged(content: bytes) -> bytes:
    return content[:20] + bytes([255] * 8) + content[28:]


@pytest.mark.parametrize(("compression", "mode"), [("group4", "1"), ("tiff_lzw", "L"), ("tiff_adobe_deflate", "L")])
def test_what_libtiff_finds_broken_is_refused_in_one_line_and_nothing_is_printed(
    compression: str, mode: str, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = tiff(compression, mode)
    decode_picture(whole, "x", Wanted())
    with pytest.raises(InvalidInput, match=r"^x: is not an intact TIFF$"):
        decode_picture(damaged(whole), "x", Wanted())
    decode_picture(whole, "x", Wanted())
    assert capfd.readouterr() == ("", "")


def test_a_tag_that_says_nothing_is_passed_over(capfd: pytest.CaptureFixture[str]) -> None:
    decoded = decode_picture(with_tag(tiff("tiff_lzw"), ORIENTATION, 0), "x", Wanted())
    np.testing.assert_array_equal(decoded.pixels[..., 0], PIXELS)
    assert capfd.readouterr() == ("", "")


def test_what_pillow_logs_is_not_printed(tmp_path: Path) -> None:
    (tmp_path / "x.tif").write_bytes(with_tag(tiff("tiff_lzw", "RGB"), SAMPLES, 18691))
    code = "import sys; from vaeserve.sources.picture import *; read_picture(Path(sys.argv[1]), Wanted())"
    run = subprocess.run([sys.executable, "-c", code, tmp_path / "x.tif"], capture_output=True, text=True, check=False)
    assert run.stderr.startswith("Traceback")
    assert run.stderr.endswith("x.tif: is not an intact TIFF\n")
