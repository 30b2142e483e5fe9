"""HTTP beside gRPC, for monitoring. It answers on threads of its own, so a busy event loop does not hold it up.

A connection takes one of a few threads until it is answered. When all are taken, the oldest connection is closed for
the new one, so that silent connections keep nobody out.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import NamedTuple

from vaeserve.errors import StartupError

_log = logging.getLogger(__name__)

_MAXIMUM_THREADS = 16
_SILENCE_SECONDS = 5.0  # after which a connection is closed
_RETRY_SECONDS = 0.5


class Page(NamedTuple):
    """The answer to a request for a path."""

    status: HTTPStatus
    content: bytes
    kind: str = "text/plain; charset=utf-8"


HttpConnection = socket.socket | tuple[bytes, socket.socket]  # always a socket here; socketserver's types allow both
Pages = Mapping[str, Callable[[str], Page]]
"""By path; called with the request's Accept header, on any thread."""


def serve_http(host: str, port: int, pages: Pages) -> str:
    """Answers GET and HEAD until the process ends, and returns the address.

    Raises:
        StartupError: the port cannot be opened.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        server = HttpServer(family, address[:2], pages)
    except OSError as exc:
        raise StartupError(f"cannot listen for metrics on {host}:{port}: {exc.strerror}") from exc
    threading.Thread(target=server.serve, name="http", daemon=True).start()
    return f"[{host}]:{server.server_port}" if ":" in host else f"{host}:{server.server_port}"


class HttpServer(ThreadingHTTPServer):
    """Answers with pages, on at most 16 threads."""

    request_queue_size = 128

    def __init__(self, family: int, address: tuple[object, ...], pages: Pages) -> None:
        self.address_family = family
        self.pages = pages
        self._free = threading.Semaphore(_MAXIMUM_THREADS)
        self._open: dict[HttpConnection, None] = {}  # oldest first, without those that were closed for newer ones
        super().__init__((str(address[0]), int(str(address[1]))), _Handler)

    def serve(self) -> None:
        """Serves until the process ends, whatever fails."""
        while True:
            try:
                self.serve_forever()
            except Exception:
                _log.exception("listening for HTTP failed, trying again")
                time.sleep(_RETRY_SECONDS)

    def server_bind(self) -> None:
        """Binds without looking up the host's name, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "", self.server_address[1]

    def get_request(self) -> tuple[socket.socket, object]:
        """Accepts a connection; waits a little when the process has no file descriptor left for it."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(_RETRY_SECONDS)
            raise

    def process_request(self, request: HttpConnection, client_address: object) -> None:
        """Answers on a thread, as soon as one is free."""
        if not self._free.acquire(blocking=False):
            self._close_oldest()
            self._free.acquire()
        self._open[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: HttpConnection) -> None:
        """Closes a connection, and frees its thread."""
        self._open.pop(request, None)
        super().shutdown_request(request)
        self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Logs a line at level debug only, because clients may leave at any time."""
        _log.debug("an HTTP connection failed", exc_info=True)

    def _close_oldest(self) -> None:
        with suppress(StopIteration, KeyError, OSError):
            oldest = next(iter(list(self._open)))
            del self._open[oldest]
            if isinstance(oldest, socket.socket):
                oldest.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    timeout = _SILENCE_SECONDS
    server: HttpServer

    def do_GET(self) -> None:
        """Answers with a page and its content."""
        page = self._page()
        self.send_response(page.status)
        self.send_header("Content-Type", page.kind)
        self.send_header("Content-Length", str(len(page.content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(page.content)

    do_HEAD = do_GET  # noqa: N815

    def _page(self) -> Page:
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            return Page(HTTPStatus.NOT_FOUND, f"no such page; there are {', '.join(self.server.pages)}\n".encode())
        try:
            return page(self.headers.get("Accept", ""))
        except Exception:
            _log.exception("answering %s failed. This is a bug.", self.path[:128])
            return Page(HTTPStatus.INTERNAL_SERVER_ERROR, b"internal error\n")

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing."""
