"""Bare HTTP/2: what gRPC's own client would hide, or refuse to send."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.servers import RunningServer

DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACKNOWLEDGED = 1, 4, 1
_HEADER_TABLE_SIZE = 1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@contextmanager
def connect(server: RunningServer) -> Iterator[socket.socket]:
    """Opens a connection."""
    host, _, port = server.target.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(PREFACE + frame(SETTINGS, struct.pack(">HI", _HEADER_TABLE_SIZE, 0)))  # headers come in full
        yield connection


def frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def frames(connection: socket.socket) -> Iterator[tuple[int, int, bytes]]:
    """Gives the kind, flags and payload of each frame until the server closes the connection."""
    with connection.makefile("rb") as received:
        while header := received.read(9):
            yield header[3], header[4], received.read(int.from_bytes(header[:3], "big"))


def call(stream: int, path: bytes, *metadata: tuple[bytes, bytes]) -> bytes:
    """Returns the frames of a call with an empty message; streams have odd numbers, each greater than the last."""
    return headers(stream, path, *metadata) + frame(DATA, bytes(5), END_STREAM, stream)


def headers(stream: int, path: bytes, *metadata: tuple[bytes, bytes]) -> bytes:
    """Returns the frame that begins a call."""
    fixed = ((b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"test"))
    fields = (*fixed, (b"te", b"trailers"), (b"content-type", b"application/grpc"), *metadata)
    # Each as a literal that is not indexed, with no Huffman coding: RFC 7541, section 6.2.2.
    block = b"".join(b"\0" + _string(name) + _string(value) for name, value in fields)
    return frame(HEADERS, block, END_HEADERS, stream)


def answer(connection: socket.socket) -> bytes:
    """Returns the headers that end the next call that is answered, as they were coded."""
    return next(payload for kind, flags, payload in frames(connection) if kind == HEADERS and flags & END_STREAM)


def _string(text: bytes) -> bytes:
    assert len(text) < 127, "longer ones take a length of several bytes"
    return bytes([len(text)]) + text
