"""Puts the parts together: settings -> models -> batchers -> servicer -> server; starts, and stops on a signal."""

import asyncio
import logging
import signal

from serving.batcher import Device
from serving.cpus import available_cpus
from serving.models import Models, Served, load, serve
from serving.server import Server
from serving.servicer import VaeServicer
from serving.settings import Settings

_log = logging.getLogger(__name__)


async def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT, then finishes what is in flight.

    Raises:
        PackageError: the package cannot be served.
        StartupError: the port or the provider is not to be had.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    models = Models()
    device = Device()
    try:
        async with Server(VaeServicer(models), settings) as server:
            served = await _load(settings, device)
            models.add(served)
            await server.ready()
            _announce(served, settings.host, server.port)
            await stop.wait()
            _log.info("stopping: calls in flight have %g s to finish", settings.grace_seconds)
        await served.encoder.close()
        await served.decoder.close()
    finally:
        device.close()
    _log.info("stopped")


async def _load(settings: Settings, device: Device) -> Served:
    threads = settings.threads or available_cpus()
    return serve(await asyncio.to_thread(load, settings.package, settings, threads), device, settings)


def _announce(served: Served, host: str, port: int) -> None:
    model = served.description
    print(f"serving {model.name} version {model.version} on {host}:{port}, provider {model.provider}", flush=True)
