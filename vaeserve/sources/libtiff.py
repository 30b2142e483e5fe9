"""What libtiff says of a file that it decodes for Pillow: counted, because it would print it on the error stream.

Pillow passes on only what ends the decoding. Of a fax (CCITT) with bits that stand for nothing, libtiff complains, and
answers other pixels than were stored.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from threading import local

from PIL import _imaging

_OF_A_TAG = b"_TIFFVSetField"  # complains of a tag's value, goes on without the tag, and says so again if it is needed


class _Complaints(local):
    """Those of this thread."""

    count = 0


_complaints = _Complaints()


def _count(function: bytes | None, _text: bytes | None, _values: int | None) -> None:
    if function != _OF_A_TAG:
        _complaints.count += 1


_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)(_count)


@contextmanager
def refusing_what_libtiff_finds_broken() -> Iterator[None]:
    """Raises ValueError at the end if libtiff complained meanwhile, in this thread."""
    _listen()
    _complaints.count = 0
    yield
    if _complaints.count:
        raise ValueError("libtiff finds it broken")


@cache
def _listen() -> None:
    """Lets libtiff call this module from now on. Of a Pillow that has libtiff within itself, that is not possible."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(_HANDLER)  # found among the libraries that Pillow has loaded
