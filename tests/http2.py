"""A bare HTTP/2 client, for what gRPC's own never does: not to read, or to send half a message."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from google.protobuf.message import Message

from tests.servers import RunningServer

_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 8
_INITIAL_WINDOW_SIZE = 4
_END_STREAM, _END_HEADERS, _ACKNOWLEDGED = 1, 4, 1
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
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self._send(_SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW_SIZE, 0))
        threading.Thread(target=self._listen, daemon=True).start()

    def call(self, method: str, message: Message) -> None:
        """Sends a whole call."""
        content = message.SerializeToString()
        stream = self._open(method)
        self._send(_DATA, _END_STREAM, stream, b"\0" + struct.pack(">I", len(content)) + content)

    def half_call(self, method: str, size: int) -> None:
        """Sends a call's message but for its last byte, as the server lets it; gives up when the server does."""
        stream = self._open(method)
        content = memoryview(b"\0" + struct.pack(">I", size) + bytes(size - 1))
        while content:
            with self._changed:
                self._changed.wait_for(lambda: self._room(stream) > 0 or stream not in self._windows, _PATIENCE_SECONDS)
                if stream not in self._windows:
                    return
                part = content[: min(_FRAME_BYTES, self._room(stream))]
                self._window -= len(part)
                self._windows[stream] -= len(part)
            self._send(_DATA, 0, stream, bytes(part))
            content = content[len(part) :]

    def _room(self, stream: int) -> int:
        return min(self._window, self._windows.get(stream, 0))

    def _open(self, method: str) -> int:
        stream, self._next = self._next, self._next + 2
        fields = {
            ":method": "POST",
            ":scheme": "http",
            ":path": f"/vae.v1.VaeService/{method}",
            ":authority": "test",
            "te": "trailers",
            "content-type": "application/grpc",
        }
        block = b"".join(b"\0" + _text(name) + _text(value) for name, value in fields.items())
        with self._changed:
            self._windows[stream] = self._initial
        self._send(_HEADERS, _END_HEADERS, stream, block)
        return stream

    def _send(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        header = struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream)
        self._socket.sendall(header + payload)

    def _listen(self) -> None:
        with suppress(OSError), self._socket.makefile("rb") as received:
            while header := received.read(9):
                payload = received.read(int.from_bytes(header[:3], "big"))
                with self._changed:
                    self._take(header[3], header[4], int.from_bytes(header[5:], "big"), payload)
                    self._changed.notify_all()

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _SETTINGS and not flags:
            size = dict(struct.iter_unpack(">HI", payload)).get(_INITIAL_WINDOW_SIZE, self._initial)
            self._windows = {number: window + size - self._initial for number, window in self._windows.items()}
            self._initial = size
            self._send(_SETTINGS, _ACKNOWLEDGED, 0, b"")
        elif kind == _PING and not flags:
            self._send(_PING, _ACKNOWLEDGED, 0, payload)
        elif kind == _WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload, "big")
        elif kind == _WINDOW_UPDATE and stream in self._windows:
            self._windows[stream] += int.from_bytes(payload, "big")
        elif kind == _RESET or (kind == _HEADERS and flags & _END_STREAM):
            self._windows.pop(stream, None)


def _text(value: str) -> bytes:
    """Returns HPACK's plain string, of up to 126 bytes."""
    return bytes([len(value)]) + value.encode()


@contextmanager
def connect(server: RunningServer) -> Iterator[Connection]:
    """Opens a connection, and closes it without a word."""
    host, _, port = server.target.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=_PATIENCE_SECONDS) as opened:
        yield Connection(opened)
        opened.shutdown(socket.SHUT_RDWR)
