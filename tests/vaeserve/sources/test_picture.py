import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import Fit
from vaeserve.sources.picture import Wanted, read_picture

RANDOM = np.random.default_rng(0)
COLOUR = RANDOM.integers(0, 256, (6, 9, 3), np.uint8)
GREY = COLOUR[..., 0]


def encoded(picture: Image.Image, name: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, name, **options)
    return file.getvalue()


def read(content: bytes, folder: Path, wanted: Wanted | None = None) -> np.ndarray:
    (folder / "it.png").write_bytes(content)
    return read_picture(folder / "it.png", wanted or Wanted()).pixels


def test_without_wishes_a_picture_stays_as_it_is(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(encoded(Image.fromarray(COLOUR)), tmp_path), COLOUR)
    np.testing.assert_array_equal(read(encoded(Image.fromarray(GREY)), tmp_path)[..., 0], GREY)
    lossless = encoded(Image.fromarray(COLOUR), "WebP", lossless=True)
    np.testing.assert_array_equal(read(lossless, tmp_path, Wanted((6, 9), "crop")), COLOUR)


def test_nothing_is_lost_of_palettes_bits_and_opaque_alpha(tmp_path: Path) -> None:
    few = Image.fromarray(COLOUR // 64 * 64).quantize(64, dither=Image.Dither.NONE)
    np.testing.assert_array_equal(read(encoded(few), tmp_path), np.asarray(few.convert("RGB")))
    bits = Image.fromarray(GREY).convert("1")
    np.testing.assert_array_equal(read(encoded(bits), tmp_path)[..., 0], np.asarray(bits) * 255)
    opaque = Image.fromarray(COLOUR)
    opaque.putalpha(255)
    np.testing.assert_array_equal(read(encoded(opaque), tmp_path), COLOUR)
    grey = Image.fromarray(GREY)
    grey.putalpha(255)
    np.testing.assert_array_equal(read(encoded(grey), tmp_path)[..., 0], GREY)


def test_channels_are_converted_as_told(tmp_path: Path) -> None:
    colour, grey = Image.fromarray(COLOUR), Image.fromarray(GREY)
    assert read(encoded(grey), tmp_path, Wanted(channels=3)).tolist() == np.stack([GREY] * 3, 2).tolist()
    assert (
        read(encoded(colour), tmp_path, Wanted(channels=1))[..., 0].tolist() == np.asarray(colour.convert("L")).tolist()
    )
    print_colours = encoded(colour.convert("CMYK"), "JPEG")
    assert read(print_colours, tmp_path, Wanted(channels=3)).shape == (6, 9, 3)


SQUARES = np.repeat(np.array([[10, 10, 100, 100, 200, 200]], np.uint8) * np.ones((2, 1), np.uint8), 4, 0).repeat(4, 1)


@pytest.mark.parametrize(
    ("fit", "size", "row"),
    [
        ("crop", (2, 2), [100, 100]),
        ("crop", (4, 8), [10, 10, 100, 100, 100, 100, 200, 200]),
        ("stretch", (2, 3), [10, 100, 200]),
        ("pad", (6, 3), [0, 0, 0]),
        ("pad", (4, 24), [0] * 6 + [10] * 4 + [100] * 4 + [200] * 4 + [0] * 6),
    ],
)
def test_pictures_are_fitted_as_told(fit: Fit, size: tuple[int, int], row: list[int], tmp_path: Path) -> None:
    found = read(encoded(Image.fromarray(SQUARES)), tmp_path, Wanted(size, fit))
    assert found.shape == (*size, 1)
    np.testing.assert_allclose(found[0, :, 0], row, atol=30)  # the filter blurs an edge and overshoots beside it


def test_a_large_jpeg_is_decoded_at_less_than_its_size_and_looks_the_same(tmp_path: Path) -> None:
    smooth = np.add.outer(np.linspace(0, 120, 800), np.linspace(0, 120, 1000)).astype(np.uint8)
    small = read(encoded(Image.fromarray(smooth), "JPEG", quality=95), tmp_path, Wanted((40, 50), "stretch"))
    exact = Image.fromarray(smooth).resize((50, 40), Image.Resampling.LANCZOS)
    np.testing.assert_allclose(small[..., 0], np.asarray(exact), atol=2)


def header(width: int, height: int, bits: int = 8) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    start = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(10**5))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", start) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def clear() -> bytes:
    picture = Image.fromarray(COLOUR)
    picture.putalpha(200)
    return encoded(picture)


PICTURE = encoded(Image.fromarray(COLOUR))
ANIMATED = encoded(Image.fromarray(COLOUR), save_all=True, append_images=[Image.new("RGB", (9, 6))])


@pytest.mark.parametrize(
    ("content", "wanted", "said"),
    [
        (b"", Wanted(), "is not a PNG, JPEG, WebP or TIFF"),
        (b"GIF89a", Wanted(), "is not a PNG, JPEG, WebP or TIFF"),
        (PICTURE[:-20], Wanted(), "is not an intact PNG"),
        (
            PICTURE[:33] + header(60_000, 60_000)[8:33] + PICTURE[33:],
            Wanted(),
            "is 60000 x 60000 pixels, which contradicts",
        ),
        (header(60_000, 60_000), Wanted(), "is 60000 x 60000 pixels, at most 100000000 are decoded"),
        (header(9, 6, 16), Wanted(), "has 16 bits a channel, must have at most 8"),
        (ANIMATED, Wanted(), "is animated, must be a single picture"),
        (clear(), Wanted(), "has transparent pixels: what is behind them is not known"),
        (clear(), Wanted(channels=1), "has transparent pixels"),
        (
            encoded(Image.fromarray(COLOUR), transparency=tuple(COLOUR[0, 0].tolist())),
            Wanted(),
            "has transparent pixels",
        ),
        (
            encoded(Image.fromarray(COLOUR).convert("CMYK"), "JPEG"),
            Wanted(),
            "has colours of mode CMYK, must have grey",
        ),
        (PICTURE, Wanted((9, 6), "exact"), "is 9 x 6 pixels, not 6 x 9"),
        (encoded(Image.new("L", (1, 4000))), Wanted((8, 8), "pad"), "is 1 x 4000 pixels: too narrow to be padded"),
    ],
)
def test_what_is_refused_is_named(content: bytes, wanted: Wanted, said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=rf"^{tmp_path}/it\.png: {said}"):
        read(content, tmp_path, wanted)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("/nowhere")
    with pytest.raises(InvalidInput, match=r"a\.png: cannot be read: No such file or directory"):
        read_picture(tmp_path / "a.png", Wanted())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    content=st.sampled_from([PICTURE, clear(), *(encoded(Image.fromarray(GREY), name) for name in ("JPEG", "WebP"))]),
    place=st.integers(0, 200),
    put=st.binary(max_size=6),
    cut=st.integers(0, 6),
)
def test_altered_files_raise_nothing_else(content: bytes, place: int, put: bytes, cut: int, tmp_path: Path) -> None:
    with suppress(InvalidInput):
        read(content[:place] + put + content[place + cut :], tmp_path, Wanted((4, 4), "crop", 1))
