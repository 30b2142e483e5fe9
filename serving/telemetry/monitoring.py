"""What monitoring reads over HTTP: metrics, and whether the server is alive and ready."""

import asyncio
import logging
import threading
import time
from http import HTTPStatus

from serving.models.registry import Models
from serving.models.reloading import Reloader
from serving.telemetry.http_port import Page, serve_http
from serving.telemetry.metrics import Sources, metrics_page
from serving.transport.answering import Answering
from serving.transport.server import Server

_log = logging.getLogger(__name__)

_TURN_SECONDS = 5.0  # opening a large graph holds up the event loop for a fraction of a second


def serve_pages(
    address: tuple[str, int], server: Server, models: Models, answering: Answering, reloader: Reloader
) -> None:
    """Answers Prometheus and health checks at a host and port until the process ends, also while calls finish.

    Raises:
        StartupError: the port cannot be opened.
    """
    loop = asyncio.get_running_loop()
    sources = Sources(
        models,
        answering.calls,
        answering.held,
        answering.tally,
        reloader.reloads,
        is_ready=lambda: server.is_ready,
        turn_seconds=lambda: _turn_seconds(loop),
    )
    pages = {
        "/metrics": metrics_page(sources),
        "/healthz": lambda _: _health_page(_turn_seconds(loop) < _TURN_SECONDS, "alive"),
        "/readyz": lambda _: _health_page(server.is_ready, "ready"),
    }
    _log.info("metrics on http://%s/metrics", serve_http(*address, pages))


def _health_page(is_true: bool, state: str) -> Page:
    if is_true:
        return Page(HTTPStatus.OK, f"{state}\n".encode())
    return Page(HTTPStatus.SERVICE_UNAVAILABLE, f"not {state}\n".encode())


def _turn_seconds(loop: asyncio.AbstractEventLoop) -> float:
    """Returns how long the event loop takes to come to a new task. No call is answered meanwhile.

    After 5 s it gives up, and returns those.
    """
    turned = threading.Event()
    asked = time.monotonic()
    loop.call_soon_threadsafe(turned.set)
    return time.monotonic() - asked if turned.wait(_TURN_SECONDS) else _TURN_SECONDS
