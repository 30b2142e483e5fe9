"""What an encoded image says of itself, read without decoding anything: PNG, JPEG and WebP.

An image is refused by its header, before it costs memory. Metadata is left out of what goes on to Pillow, which would
inflate compressed text and warn of EXIF that is broken.
"""

import struct
from collections.abc import Callable
from typing import Literal, NamedTuple

Format = Literal["PNG", "JPEG", "WebP"]

_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_START_OF_FRAME = frozenset(range(0xFFC0, 0xFFD0)) - {0xFFC4, 0xFFC8, 0xFFCC}  # these three are tables
_START_OF_SCAN = 0xFFDA
_FIRST_SEGMENT = 0xFFC0  # below it, and among the restarts, are markers that no header holds
_RESTARTS = range(0xFFD0, 0xFFDA)
_METADATA = frozenset(range(0xFFE1, 0xFFF0)) - {0xFFEE} | {0xFFFE}  # 0xFFE0 and 0xFFEE tell how colours are stored


class ImageFile(NamedTuple):
    """An encoded image, not decoded."""

    format: Format
    width: int
    height: int
    bits: int
    """Of one channel of one pixel."""
    is_animated: bool
    content: bytes
    """The file without its metadata."""


def read_image_file(content: bytes) -> ImageFile:
    """Returns what a file's header tells.

    Raises:
        ValueError: it is no PNG, JPEG or WebP, or its header is cut short or contradicts itself.
    """
    for name, read in _READERS.items():
        if _starts_as(name, content):
            try:
                return read(content)
            except (struct.error, IndexError, ValueError) as exc:
                raise ValueError(f"is no intact {name}") from exc
    raise ValueError("is no PNG, JPEG or WebP")


def _starts_as(name: Format, content: bytes) -> bool:
    match name:
        case "PNG":
            return content.startswith(b"\x89PNG\r\n\x1a\n")
        case "JPEG":
            return content.startswith(b"\xff\xd8\xff")
        case "WebP":
            return content.startswith(b"RIFF") and content[8:12] == b"WEBP"


def _read_png(content: bytes) -> ImageFile:
    if content[12:16] != b"IHDR":
        raise ValueError("its first chunk is not its header")
    width, height, bits = struct.unpack_from(">IIB", content, 16)
    view, place, kind, is_animated = memoryview(content), 8, b"", False
    kept = [view[:place]]
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", content, place)
        end = place + 12 + length
        if end > len(content):
            raise ValueError("a chunk is cut short")
        if kind in _PIXEL_CHUNKS:
            kept.append(view[place:end])
        is_animated |= kind == b"acTL"
        place = end
    return ImageFile("PNG", width, height, bits, is_animated, b"".join(kept))


def _read_jpeg(content: bytes) -> ImageFile:
    view, place = memoryview(content), 2
    kept, frames = [view[:place]], []
    while True:
        marker, length = struct.unpack_from(">HH", content, place)
        if marker == 0xFFFF:  # padding
            place += 1
            continue
        if marker == _START_OF_SCAN:
            break
        if marker < _FIRST_SEGMENT or marker in _RESTARTS:
            raise ValueError("something stands between its segments")
        end = place + 2 + length
        if marker in _START_OF_FRAME:
            frames.append(struct.unpack_from(">BHH", content, place + 4))
        if marker not in _METADATA:
            kept.append(view[place:end])
        place = end
    kept.append(view[place:])
    ((bits, height, width),) = frames
    return ImageFile("JPEG", width, height, bits, False, b"".join(kept))


def _read_webp(content: bytes) -> ImageFile:
    width, height = _webp_size(content)
    is_animated = content[12:16] == b"VP8X" and bool(content[20] & 2)
    return ImageFile("WebP", width, height, 8, is_animated, content)


def _webp_size(content: bytes) -> tuple[int, int]:
    match content[12:16]:
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", content, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", content, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            low, high, height_low, height_high = struct.unpack_from("<HBHB", content, 24)
            return (high << 16 | low) + 1, (height_high << 16 | height_low) + 1
        case _:
            raise ValueError("its first chunk holds no picture")


_READERS: dict[Format, Callable[[bytes], ImageFile]] = {"PNG": _read_png, "JPEG": _read_jpeg, "WebP": _read_webp}
