"""A bare HTTP/2 client, for what gRPC's own never does: not to read, or to send half a message."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from google.protobuf.message import Message

from tests.support.http2 import (
    ACKNOWLEDGED,
    DATA,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    RESET,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    headers,
)
from tests.support.servers import RunningServer

_INITIAL_WINDOW_SIZE = 4
_FRAME_BYTES = 16_384
_PATIENCE_SECONDS = 60


class Connection:
    """A connection that takes no byte of any reply, only headers."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._next = 1
        self._window = self._initial = 65_535
        self._windows: dict[int, int] = {}
        self._changed = threading.Condition()
        connection.sendall(PREFACE)
        self._send(SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW_SIZE, 0))
        threading.Thread(target=self._listen, daemon=True).start()

    def call(self, method: str, message: Message) -> None:
        """Sends a whole call."""
        self._send(DATA, END_STREAM, self._open(method), _framed(message))

    def half_call(self, method: str, size: int, *before: Message) -> None:
        """Sends a call's last message but for its last byte, as the server lets it; gives up when the server does."""
        stream = self._open(method)
        content = memoryview(b"".join(map(_framed, before)) + struct.pack(">xI", size) + bytes(size - 1))
        while content:
            with self._changed:
                self._changed.wait_for(lambda: self._room(stream) > 0 or stream not in self._windows, _PATIENCE_SECONDS)
                if stream not in self._windows:
                    return
                part = content[: min(_FRAME_BYTES, self._room(stream))]
                self._window -= len(part)
                self._windows[stream] -= len(part)
            self._send(DATA, 0, stream, bytes(part))
            content = content[len(part) :]

    def _room(self, stream: int) -> int:
        return min(self._window, self._windows.get(stream, 0))

    def _open(self, method: str) -> int:
        stream, self._next = self._next, self._next + 2
        with self._changed:
            self._windows[stream] = self._initial
        self._socket.sendall(headers(stream, f"/vae.v1.VaeService/{method}".encode()))
        return stream

    def _send(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        self._socket.sendall(frame(kind, payload, flags, stream))

    def _listen(self) -> None:
        with suppress(OSError), self._socket.makefile("rb") as received:
            while header := received.read(9):
                payload = received.read(int.from_bytes(header[:3], "big"))
                with self._changed:
                    self._take(header[3], header[4], int.from_bytes(header[5:], "big"), payload)
                    self._changed.notify_all()

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags:
            size = dict(struct.iter_unpack(">HI", payload)).get(_INITIAL_WINDOW_SIZE, self._initial)
            self._windows = {number: window + size - self._initial for number, window in self._windows.items()}
            self._initial = size
            self._send(SETTINGS, ACKNOWLEDGED, 0, b"")
        elif kind == PING and not flags:
            self._send(PING, ACKNOWLEDGED, 0, payload)
        elif kind == WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload, "big")
        elif kind == WINDOW_UPDATE and stream in self._windows:
            self._windows[stream] += int.from_bytes(payload, "big")
        elif kind == RESET or (kind == HEADERS and flags & END_STREAM):
            self._windows.pop(stream, None)


def _framed(message: Message) -> bytes:
    content = message.SerializeToString()
    return struct.pack(">xI", len(content)) + content


@contextmanager
def connect(server: RunningServer) -> Iterator[Connection]:
    """Opens a connection, and closes it without a word."""
    host, _, port = server.target.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=_PATIENCE_SECONDS) as opened:
        yield Connection(opened)
        opened.shutdown(socket.SHUT_RDWR)
