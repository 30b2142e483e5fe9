import io
import resource
import struct
import tracemalloc
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.row_spec import Array
from vaeserve.rows.image_checks import check_image, takes_images
from vaeserve.rows.images import decode_images, encode_images, png, to_pixels


def spec(channels: int, dtype: str = "uint8", minimum: float = 0, maximum: float = 255) -> DataSpec:
    return DataSpec.model_validate(
        {"kind": "image", "shape": (5, 7, channels), "dtype": dtype, "minimum": minimum, "maximum": maximum}
    )


GREY, COLOUR, ALPHA = spec(1), spec(3), spec(4)
COUNTS = spec(1, maximum=16)
SIGNED = spec(3, "float32", -1, 1)
PICTURE = np.random.default_rng(0).integers(0, 256, (5, 7, 4), np.uint8)


def encoded(picture: Image.Image, name: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, name, **options)
    return file.getvalue()


def decoded(image: bytes, model: DataSpec) -> Array:
    row: Array = decode_images([image], "images", 0, model)[0]
    return row


def rgb(array: np.ndarray = PICTURE[:, :, :3]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(array))


def test_png_and_lossless_webp_keep_every_pixel() -> None:
    for content in (encoded(rgb()), encoded(rgb(), "WebP", lossless=True)):
        np.testing.assert_array_equal(decoded(content, COLOUR), PICTURE[:, :, :3])
    alpha = rgb(PICTURE)
    np.testing.assert_array_equal(decoded(encoded(alpha), ALPHA), PICTURE)


def test_jpeg_and_webp_come_near() -> None:
    smooth = np.add.outer(np.arange(5) * 20, np.arange(7) * 20).astype(np.uint8)
    np.testing.assert_allclose(decoded(encoded(rgb(smooth), "JPEG"), GREY)[:, :, 0].astype(int), smooth, atol=8)
    colours = np.stack([smooth, 255 - smooth, smooth // 2], axis=2)
    for content in (encoded(rgb(colours), "JPEG", subsampling=0), encoded(rgb(colours), "WebP", quality=100)):
        assert np.abs(decoded(content, COLOUR).astype(int) - colours).mean() < 12
    np.testing.assert_array_equal(decoded(encoded(rgb(smooth), "WebP", lossless=True), GREY)[:, :, 0], smooth)


def test_what_is_converted_because_nothing_is_lost() -> None:
    grey = rgb(PICTURE[:, :, 0])
    bits = grey.convert("1")
    few = rgb(PICTURE[:, :, :3] // 64 * 64).quantize(64, dither=Image.Dither.NONE)
    opaque = rgb()
    opaque.putalpha(255)
    replicated = np.repeat(PICTURE[:, :, :1], 3, axis=2)
    np.testing.assert_array_equal(decoded(encoded(grey), COLOUR), replicated)
    np.testing.assert_array_equal(decoded(encoded(rgb(replicated)), GREY), PICTURE[:, :, :1])
    np.testing.assert_array_equal(decoded(encoded(bits), GREY)[:, :, 0], np.asarray(bits) * 255)
    np.testing.assert_array_equal(decoded(encoded(few), COLOUR), np.asarray(few.convert("RGB")))
    np.testing.assert_array_equal(decoded(encoded(opaque), COLOUR), PICTURE[:, :, :3])
    np.testing.assert_array_equal(decoded(encoded(rgb()), ALPHA), np.asarray(opaque))
    np.testing.assert_array_equal(decoded(encoded(rgb(), transparency=(1, 2, 3)), COLOUR), PICTURE[:, :, :3])


def test_what_would_lose_something() -> None:
    clear = rgb()
    clear.putalpha(rgb(PICTURE[:, :, 3]))
    one_clear = tuple(map(int, PICTURE[0, 0, :3]))
    palette = rgb().quantize(16)
    for image, model, said in (
        (encoded(clear), COLOUR, "has transparent pixels, the model has no alpha channel"),
        (encoded(rgb(), transparency=one_clear), COLOUR, "has transparent pixels"),
        (encoded(palette, transparency=bytes([0] * 16)), COLOUR, "has transparent pixels"),
        (encoded(clear, "WebP", lossless=True), GREY, "has transparent pixels"),
        (encoded(rgb()), GREY, "has colours, must be grey"),
        (encoded(palette), GREY, "has colours, must be grey"),
        (encoded(rgb().convert("CMYK"), "JPEG"), COLOUR, "has colours of mode CMYK, must have grey, RGB or RGBA"),
        (encoded(Image.fromarray(np.zeros((5, 7), np.uint16))), GREY, "has 16 bits a channel, must have at most 8"),
    ):
        with pytest.raises(InvalidInput, match=said):
            decoded(image, model)


def test_sixteen_bit_colours_are_not_cut() -> None:
    header = struct.pack(">IIBBBBB", 7, 5, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(5 * (1 + 7 * 6)))), (b"IEND", b""))
    with pytest.raises(InvalidInput, match="has 16 bits"):
        decoded(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks), COLOUR)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("name", ["PNG", "JPEG", "WebP"])
def test_images_are_turned_upright(name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "a camera", orientation
    stored = rgb().transpose(Image.Transpose.TRANSPOSE) if 5 <= orientation <= 8 else rgb()
    content = encoded(stored, name, exif=exif, **({"lossless": True} if name == "WebP" else {}))
    with Image.open(io.BytesIO(content)) as image:
        seen = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(decoded(content, COLOUR), seen)
    assert seen.shape == (5, 7, 3)


def test_an_image_that_lies_on_its_side_has_another_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with pytest.raises(InvalidInput, match="is 5 x 7 pixels once it is turned upright as its EXIF says, must be 7 x 5"):
        decoded(encoded(rgb(), exif=exif), COLOUR)


def test_other_metadata_and_what_is_broken_change_nothing() -> None:
    for name in ("PNG", "JPEG", "WebP"):
        plain = decoded(encoded(rgb(), name), COLOUR)
        for broken in (b"", b"II", b"II*\0\x08\0\0\0\xff\xff", b"MM\0*\xff\xff\xff\xff", b"\xff" * 40):
            np.testing.assert_array_equal(decoded(encoded(rgb(), name, exif=b"Exif\0\0" + broken), COLOUR), plain)


def test_levels_reach_from_the_minimum_to_the_maximum() -> None:
    ramp = rgb(np.broadcast_to(np.array([0, 255, 128, 127, 8, 16, 247], np.uint8), (5, 7)))
    assert decoded(encoded(ramp), COUNTS)[0, :, 0].tolist() == [0, 16, 8, 8, 1, 1, 15]
    values = decoded(encoded(ramp), SIGNED)[0, :2, 0]
    assert (values.dtype.name, values.tolist()) == ("float32", [-1, 1])


@given(st.integers(1, 255), st.integers(0, 2**32))
def test_whole_numbers_survive_the_way_there_and_back(maximum: int, seed: int) -> None:
    model = spec(1, maximum=maximum)
    rows = np.random.default_rng(seed).integers(0, maximum + 1, (3, 5, 7, 1), np.uint8)
    np.testing.assert_array_equal(decode_images(encode_images(rows, model), "images", 0, model), rows)


@given(st.floats(-1e30, 1e30), st.floats(1e-3, 1e30))
def test_values_stay_in_range(minimum: float, width: float) -> None:
    model = spec(1, "float32", minimum, max(minimum + width, np.nextafter(minimum, np.inf)))
    values = decoded(encoded(rgb(PICTURE[:, :, 0])), model)
    assert (values >= model.minimum).all()
    assert (values <= model.maximum).all()


def test_values_past_the_range_are_clipped() -> None:
    rows = np.zeros((1, 5, 7, 3), np.float32)
    rows[0, 0, :5, 0] = -9, -1, 1, np.inf, np.nan
    assert to_pixels(rows, SIGNED)[0, 0, :5, 0].tolist() == [0, 0, 255, 255, 0]


def test_pngs_hold_the_channels_they_are_given() -> None:
    for channels, mode in ((1, "L"), (3, "RGB"), (4, "RGBA")):
        with Image.open(io.BytesIO(png(PICTURE[:, :, :channels]))) as picture:
            assert (picture.format, picture.mode, picture.size) == ("PNG", mode, (7, 5))


def test_what_takes_images() -> None:
    assert all(map(takes_images, (GREY, COLOUR, ALPHA, COUNTS, SIGNED)))
    assert not takes_images(spec(2))
    assert not takes_images(DataSpec(kind="table", shape=(3,), dtype="float32", minimum=0, maximum=1))


def bomb(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(10**6), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def second_header() -> bytes:
    small = encoded(rgb())
    return small[:33] + bomb(60_000, 60_000)[8:33] + small[33:]


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (b"", "is not a PNG, JPEG or WebP"),
        (b"GIF89a", "is not a PNG, JPEG or WebP"),
        (encoded(Image.new("RGB", (5, 7))), r"is 5 x 7 pixels, must be 7 x 5 \(width x height\)"),
        (encoded(rgb())[:-20], "is not an intact PNG"),
        (second_header(), "is 60000 x 60000 pixels"),
        (encoded(rgb(), "JPEG")[:-80], "is not an intact JPEG"),
        (encoded(rgb(), "WebP")[:-20], "is not an intact WebP"),
        (encoded(rgb(), "PNG", save_all=True, append_images=[Image.new("RGB", (7, 5))]), "is animated"),
        (encoded(rgb(), "WebP", save_all=True, append_images=[Image.new("RGB", (7, 5))]), "is animated"),
        (encoded(rgb()) + bytes(2**21), "takes 2097[0-9]+ bytes; one of 7 x 5 pixels takes at most 1048786"),
    ],
)
def test_images_that_are_refused_name_their_row(image: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=rf"^images\[8\]: {said}") as err:
        decode_images([encoded(rgb()), image], "images", 7, COLOUR)
    assert err.value.field == "images[8]"


def webp_canvas(width: int, height: int) -> bytes:
    content = bytearray(encoded(rgb(), "WebP", exif=b"Exif\0\0"))
    content[24:27], content[27:30] = ((size - 1).to_bytes(3, "little") for size in (width, height))
    return bytes(content)


def compressed_text() -> bytes:
    small, text = encoded(rgb()), chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1_000_000), 9))
    return small[:33] + text * 60 + small[33:]


@pytest.mark.parametrize(
    "content",
    [bomb(60_000, 60_000), bomb(2**31 - 1, 2**31 - 1), bomb(7, 5), webp_canvas(16_000, 16_000), second_header()],
    ids=["large", "largest", "pixels", "canvas", "two headers"],
)
def test_bombs_do_not_go_off(content: bytes) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with suppress(InvalidInput):
        decode_images([content], "images", 0, COLOUR)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


def test_compressed_text_is_not_inflated() -> None:
    content = compressed_text()
    tracemalloc.start()
    decode_images([content], "images", 0, COLOUR)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


SOUND = [
    encoded(rgb()),
    encoded(rgb().quantize(16), transparency=bytes([0] * 16)),
    encoded(rgb(PICTURE[:, :, 0])),
    encoded(rgb(), "JPEG"),
    encoded(rgb(), "JPEG", progressive=True, exif=b"Exif\0\0II*\0\x08\0\0\0"),
    encoded(rgb(), "WebP"),
    encoded(rgb(PICTURE), "WebP", lossless=True, exif=b"Exif\0\0"),
]


@given(
    image=st.sampled_from(SOUND),
    place=st.integers(0, 2000),
    removed=st.integers(0, 8),
    noise=st.binary(max_size=8),
    model=st.sampled_from([GREY, COLOUR, ALPHA, SIGNED]),
)
@example(image=b"", place=0, removed=0, noise=b"\x89PNG\r\n\x1a\n", model=GREY)
@example(image=b"", place=0, removed=0, noise=b"\xff\xd8\xff\xda", model=GREY)
def test_altered_images_are_decoded_or_refused(
    image: bytes, place: int, removed: int, noise: bytes, model: DataSpec
) -> None:
    place = place % (len(image) + 1)
    altered = image[:place] + noise + image[place + removed :]
    with suppress(InvalidInput):
        assert decoded(altered, model).shape == model.shape
    with suppress(InvalidInput):
        check_image(altered, "images", model)


@given(st.sampled_from(SOUND), st.integers(8, 300), st.binary(min_size=1, max_size=4))
def test_chunks_with_a_right_checksum_are_decoded_or_refused(image: bytes, place: int, noise: bytes) -> None:
    """Reaches behind the checksums, which stop most of what is altered at random."""
    if not image.startswith(b"\x89PNG"):
        return
    content, at = bytearray(image), 8
    place %= len(image) - len(noise)
    content[place : place + len(noise)] = noise
    rebuilt = [bytes(content[:8])]
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4])
        rebuilt.append(chunk(bytes(content[at + 4 : at + 8]), bytes(content[at + 8 : at + 8 + length])))
        at += 12 + length
    with suppress(InvalidInput):
        decoded(b"".join(rebuilt), COLOUR)
