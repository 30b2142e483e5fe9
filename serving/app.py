"""Puts the parts together: settings -> models -> batchers -> servicer -> server; starts, and stops on a signal."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable

from serving.batcher import Device
from serving.cpus import available_cpus
from serving.models import Models, Served, load, serve
from serving.server import Server
from serving.servicer import VaeServicer
from serving.settings import Settings
from vae.errors import EngineFailure

_log = logging.getLogger(__name__)


async def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT, then finishes what is in flight; a second signal cuts that short.

    Raises:
        EngineFailure: a batcher died.
        PackageError: the package cannot be served.
        StartupError: the port or the provider is not to be had.
    """
    stop = asyncio.Event()
    _on_signals(stop.set)
    models, device = Models(), Device()
    async with Server(VaeServicer(models, settings.stream_bytes), settings) as server:
        loading = asyncio.create_task(_load(settings, device))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            models.add(await loading)
            await server.ready()
            _announce(loading.result(), server.address)
            workers = [batcher.worker for batcher in loading.result().batchers]
            await asyncio.wait({stopping, *workers}, return_when=asyncio.FIRST_COMPLETED)
            if not stop.is_set():
                raise EngineFailure("a batcher died, its log says why. This is a bug.")
        _log.info("stopping: calls in flight have %g s to finish", settings.grace_seconds)
        _on_signals(_exit_now)
    _log.info("stopped")
    _exit_now()


async def _load(settings: Settings, device: Device) -> Served:
    threads = settings.threads or available_cpus()
    return serve(await asyncio.to_thread(load, settings.package, settings, threads), device, settings)


def _announce(served: Served, address: str) -> None:
    model = served.description
    print(f"serving {model.name} version {model.version} on {address}, provider {model.provider}", flush=True)


def _on_signals(handler: Callable[[], object]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, handler)


def _exit_now() -> None:
    """Ends the process. Python's own way out would wait for a load that hangs, or for gRPC's last connection."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)
