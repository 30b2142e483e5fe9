"""What an encoded image says of itself, read without decoding anything: PNG, JPEG and WebP.

The files come from callers. An image that is too large is refused by its header, before any library allocates memory
for its pixels. Of the metadata only the EXIF orientation is read. The rest is removed before Pillow sees the file,
because Pillow inflates compressed text while it opens a PNG, and warns about broken EXIF.
"""

import struct
from collections.abc import Callable
from typing import Literal, NamedTuple

Format = Literal["PNG", "JPEG", "WebP", "TIFF"]
"""TIFF is read from a user's own files alone (`vaeserve.sources.tiff`)."""

_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_START_OF_FRAME = frozenset(range(0xFFC0, 0xFFD0)) - {0xFFC4, 0xFFC8, 0xFFCC}  # these three are tables
_START_OF_SCAN = 0xFFDA
_FIRST_SEGMENT = 0xFFC0  # markers below it, and the restarts, never stand in a header
_RESTARTS = range(0xFFD0, 0xFFDA)
_EXIF_SEGMENT = 0xFFE1
_METADATA = frozenset(range(0xFFE1, 0xFFF0)) - {0xFFEE} | {0xFFFE}  # 0xFFE0 and 0xFFEE say how colours are stored

_EXIF = b"Exif\0\0"
_TIFF_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION, _SHORT = 0x0112, 3  # a tag, and the type that its value has


class ImageFile(NamedTuple):
    """An encoded image, not decoded."""

    format: Format
    width: int
    """As stored, before the orientation is applied."""
    height: int
    bits: int
    """Of one channel of one pixel."""
    is_animated: bool
    content: bytes
    """The file without its metadata."""
    orientation: int = 1
    """How EXIF says that the pixels are stored, 1 to 8; 1: upright."""

    @property
    def is_sideways(self) -> bool:
        """Whether width and height change places when the image is turned upright."""
        return self.orientation >= 5

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the image as it is shown."""
        return (self.height, self.width) if self.is_sideways else (self.width, self.height)


def read_image_file(content: bytes, kinds: str = "PNG, JPEG or WebP") -> ImageFile:
    """Reads the header of an image file.

    Args:
        content: the file.
        kinds: what it may be, for errors.

    Raises:
        ValueError: it is not a PNG, JPEG or WebP, or its header is cut short or contradicts itself.
    """
    for name, read in _READERS.items():
        if _starts_as(name, content):
            try:
                return read(content)
            except (struct.error, IndexError, ValueError) as exc:
                raise ValueError(f"is not an intact {name}") from exc
    raise ValueError(f"is not a {kinds}")


def _starts_as(name: Format, content: bytes) -> bool:
    match name:
        case "PNG":
            return content.startswith(b"\x89PNG\r\n\x1a\n")
        case "JPEG":
            return content.startswith(b"\xff\xd8\xff")
        case "WebP":
            return content.startswith(b"RIFF") and content[8:12] == b"WEBP"
        case "TIFF":
            return False


def _read_png(content: bytes) -> ImageFile:
    if content[12:16] != b"IHDR":
        raise ValueError("its first chunk is not its header")
    width, height, bits = struct.unpack_from(">IIB", content, 16)
    view, place, kind, is_animated, orientation = memoryview(content), 8, b"", False, 1
    parts = [view[:place]]
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", content, place)
        end = place + 12 + length
        if end > len(content):
            raise ValueError("a chunk is cut short")
        if kind in _PIXEL_CHUNKS:
            parts.append(view[place:end])
        is_animated |= kind == b"acTL"
        if kind == b"eXIf":
            orientation = _orientation(content[place + 8 : end - 4])
        place = end
    return ImageFile("PNG", width, height, bits, is_animated, b"".join(parts), orientation)


def _read_jpeg(content: bytes) -> ImageFile:
    view, place = memoryview(content), 2
    parts, frames, orientation = [view[:place]], [], 1
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
            parts.append(view[place:end])
        if marker == _EXIF_SEGMENT and content.startswith(_EXIF, place + 4):  # other segments with this marker hold XMP
            orientation = _orientation(content[place + 4 : end])
        place = end
    parts.append(view[place:])
    ((bits, height, width),) = frames
    return ImageFile("JPEG", width, height, bits, False, b"".join(parts), orientation)


def _read_webp(content: bytes) -> ImageFile:
    width, height = _webp_size(content)
    flags = content[20] if content[12:16] == b"VP8X" else 0
    orientation = _orientation(_webp_exif(content)) if flags & 8 else 1
    return ImageFile("WebP", width, height, 8, bool(flags & 2), content, orientation)


def _webp_exif(content: bytes) -> bytes:
    """Returns the EXIF block of an extended WebP; an empty one if there is none."""
    place = 12
    while place + 8 <= len(content):
        length = int.from_bytes(content[place + 4 : place + 8], "little")
        if content[place : place + 4] == b"EXIF":
            return content[place + 8 : place + 8 + length]
        place += 8 + length + length % 2
    return b""


def _orientation(exif: bytes) -> int:
    """Returns the orientation in an EXIF block; 1 if there is none, or the block is broken."""
    tiff = exif.removeprefix(_EXIF)
    order = _TIFF_ORDERS.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for place in range(start + 2, start + 2 + 12 * entries, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, place)
            if (tag, kind) == (_ORIENTATION, _SHORT):
                return value if 1 <= value <= 8 else 1
    except struct.error:  # the block ends before its entries do
        pass
    return 1


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
