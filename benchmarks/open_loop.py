"""Calls that arrive at random moments, whatever becomes of those before: an open loop, by HTTP/2 frames made by hand.

A call costs this process about a tenth of what it costs one of gRPC's clients, which would keep a processor busy that
the server needs, and be late itself. All calls go over one connection, and are the same but for the number of their
stream. Like gRPC's own clients, it tells the server each call's deadline, and cancels a call when that passes.
"""

import select
import socket
import struct
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from benchmarks.h2load import Request

_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _WINDOW = 0, 1, 3, 4, 6, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_TABLE_SIZE, _INITIAL_WINDOW = 1, 4  # settings
_FRAME_LIMIT = 2**14
_LARGEST_WINDOW = 2**31 - 1
_FIRST_WINDOW = 2**16 - 1
_CANCEL = 8
_STATUS = b"grpc-status"
_CODES = {b"0": "OK", b"4": "DEADLINE_EXCEEDED", b"8": "RESOURCE_EXHAUSTED"}


class Outcomes(NamedTuple):
    """What became of the calls."""

    milliseconds: dict[str, list[float]]
    """From the moment that a call was due until its answer, by gRPC's code; calls given up are DEADLINE_EXCEEDED."""
    lags: list[float]
    """Milliseconds by which calls were sent late."""


def send_at(target: str, request: Request, moments: Sequence[float], deadline: float) -> Outcomes:
    """Sends a call at each of some moments, and returns what became of them.

    Args:
        target: host and port.
        request: of every call.
        moments: seconds from now, ascending.
        deadline: seconds, of each call.
    """
    host, _, port = target.rpartition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _OpenLoop(connection, target, request, deadline).run(moments)


class _OpenLoop:
    """A connection, and the calls that are open on it.

    Args:
        connection: to the server.
        target, request, deadline: as `send_at` takes them.
    """

    def __init__(self, connection: socket.socket, target: str, request: Request, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._head, self._frames = _header_block(target, request, deadline), _pieces(request.body)
        self._call_bytes = len(request.body)
        self._window = _FIRST_WINDOW  # bytes that the server takes on this connection
        self._received = b""
        self._to_send = bytearray()
        self._due = deque[tuple[int, float]]()  # streams of open calls, in the order of their deadlines
        self._open: dict[int, float] = {}
        self._outcomes = Outcomes({}, [])

    def run(self, moments: Sequence[float]) -> Outcomes:
        """Sends the calls, and waits until none is open."""
        settings = struct.pack(">HIHI", _TABLE_SIZE, 0, _INITIAL_WINDOW, _LARGEST_WINDOW)
        self._to_send += b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, settings)
        self._to_send += _frame(_WINDOW, 0, 0, struct.pack(">I", _LARGEST_WINDOW - _FIRST_WINDOW))
        self._exchange(time.perf_counter() + 0.1)
        begun = time.perf_counter()
        for number, moment in enumerate(moments):
            self._exchange(begun + moment)
            while self._window < self._call_bytes:
                self._exchange(time.perf_counter() + 0.0002)
            self._call(2 * number + 1, begun + moment)
        self._exchange(time.perf_counter() + 2 * self._deadline)
        return self._outcomes

    def _call(self, stream: int, due: float) -> None:
        self._outcomes.lags.append((time.perf_counter() - due) * 1e3)
        self._to_send += _frame(_HEADERS, _END_HEADERS, stream, self._head)
        for number, piece in enumerate(self._frames, 1):
            self._to_send += _frame(_DATA, _END_STREAM if number == len(self._frames) else 0, stream, piece)
        self._window -= self._call_bytes
        self._open[stream] = due
        self._due.append((stream, due + self._deadline))
        self._flush()

    def _exchange(self, until: float) -> None:
        """Sends what is to be sent, and takes what comes, until a moment; looks at least once."""
        while True:
            self._flush()
            self._give_up()
            left = until - time.perf_counter()
            readable, _, _ = select.select(
                [self._connection], [self._connection] if self._to_send else [], [], max(0.0, min(left, 0.0005))
            )
            if readable:
                self._take(self._connection.recv(2**20))
            if left <= 0:
                return

    def _flush(self) -> None:
        if self._to_send:
            with suppress(BlockingIOError):
                del self._to_send[: self._connection.send(self._to_send, socket.MSG_DONTWAIT)]

    def _give_up(self) -> None:
        """Cancels calls at their deadline, as gRPC's clients do."""
        now = time.perf_counter()
        while self._due and self._due[0][1] <= now:
            stream, _ = self._due.popleft()
            if stream in self._open:
                self._to_send += _frame(_RESET, 0, stream, struct.pack(">I", _CANCEL))
                self._end(stream, "DEADLINE_EXCEEDED")

    def _end(self, stream: int, code: str) -> None:
        due = self._open.pop(stream, None)
        if due is not None:
            self._outcomes.milliseconds.setdefault(code, []).append((time.perf_counter() - due) * 1e3)

    def _take(self, content: bytes) -> None:
        if not content:
            raise SystemExit("the server closed the connection")
        content, start = self._received + content, 0
        while len(content) >= start + 9:
            size = int.from_bytes(content[start : start + 3], "big")
            if len(content) < start + 9 + size:
                break
            kind, flags, stream = (
                content[start + 3],
                content[start + 4],
                int.from_bytes(content[start + 5 : start + 9], "big"),
            )
            self._handle(kind, flags, stream, content[start + 9 : start + 9 + size])
            start += 9 + size
        self._received = content[start:]

    def _handle(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _HEADERS and flags & _END_STREAM:
            self._end(stream, _code_of(payload))
        elif kind == _RESET:
            self._end(stream, "CANCELLED")
        elif kind == _SETTINGS and not flags & _ACK:
            self._to_send += _frame(_SETTINGS, _ACK, 0, b"")
        elif kind == _PING and not flags & _ACK:
            self._to_send += _frame(_PING, _ACK, 0, payload)
        elif kind == _WINDOW and stream == 0:
            self._window += int.from_bytes(payload, "big")


def _code_of(trailers: bytes) -> str:
    """Returns gRPC's code. The server was told to keep no table of headers, so it spells every one out."""
    start = trailers.find(_STATUS)
    if start < 0:
        return "UNKNOWN"
    size = trailers[start + len(_STATUS)]
    digits = trailers[start + len(_STATUS) + 1 :][:size]
    return _CODES.get(digits, digits.decode(errors="replace"))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def _pieces(body: bytes) -> list[bytes]:
    return [body[start : start + _FRAME_LIMIT] for start in range(0, len(body), _FRAME_LIMIT)]


def _header_block(target: str, request: Request, deadline: float) -> bytes:
    """Returns the headers of a call, each spelled out, in the format of RFC 7541, 6.2.2."""
    headers = {":method": "POST", ":scheme": "http", ":path": request.path, ":authority": target}
    headers |= {"te": "trailers", "content-type": "application/grpc", "grpc-timeout": f"{round(deadline * 1e6)}u"}
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in headers.items())


def _text(text: str) -> bytes:
    if len(text) > 126:
        raise ValueError(f"{text} is too long")
    return bytes([len(text)]) + text.encode()
