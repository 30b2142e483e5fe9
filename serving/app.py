"""Puts the parts together: settings -> models -> servicer -> server; starts, and stops on a signal."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable

from serving.cpus import available_cpus
from serving.device import Device
from serving.images import Images
from serving.metrics import Sources, serve_metrics
from serving.models import Models
from serving.reloading import Reloader
from serving.server import Server
from serving.servicer import VaeServicer
from serving.settings import Settings
from vae.errors import EngineFailure
from vae.v1 import vae_pb2 as pb

_log = logging.getLogger(__name__)


async def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT, then finishes what is in flight; a second signal cuts that short.

    SIGHUP makes it look for packages again.

    Raises:
        EngineFailure: a batcher died.
        PackageError: there is no package that can be served.
        StartupError: the port or the provider is not to be had.
    """
    stop = asyncio.Event()
    _on_signals(stop.set)
    models = Models()
    reloader = Reloader(settings, models, Device(settings.executors or available_cpus()))
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.reload)
    servicer = VaeServicer(models, Images(available_cpus()), settings.stream_bytes, settings.held_bytes)
    _serve_metrics(settings, Sources(models, servicer.calls, servicer.held, servicer.tally, reloader.reloads))
    async with Server(servicer, settings) as server:
        starting = asyncio.create_task(reloader.start())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            await starting
            gc.collect()
            gc.freeze()  # what is here now stays: each later collection would look through it all, with callers waiting
            await server.ready()
            for model in models.describe():
                _announce(model, server.address)
            reloading = asyncio.create_task(reloader.run())
            trimming = asyncio.create_task(servicer.heap.keep_small(lambda: not servicer.reading.is_slow))
            breaking = asyncio.create_task(reloader.broken.wait())
            await asyncio.wait({stopping, breaking}, return_when=asyncio.FIRST_COMPLETED)
            reloading.cancel()
            trimming.cancel()
            if not stop.is_set():
                raise EngineFailure("a batcher died, its log says why. This is a bug.")
        _log.info("stopping: calls in flight have %g s to finish", settings.grace_seconds)
        _on_signals(_exit_now)
    _log.info("stopped")
    _exit_now()


def _serve_metrics(settings: Settings, sources: Sources) -> None:
    """Answers Prometheus to the end of the process, also while calls finish."""
    if settings.metrics_port is not None:
        address = serve_metrics(settings.host, settings.metrics_port, sources)
        _log.info("metrics on http://%s/metrics", address)


def _announce(model: pb.Model, address: str) -> None:
    executors, threads, source = model.execution.executors, model.execution.threads, model.execution.source
    print(
        f"serving {model.name} version {model.version} on {address}, provider {model.provider},"
        f" {executors} x {threads} thread{'s' * (threads > 1)}, {model.limits.batch_rows} rows a batch ({source})",
        flush=True,
    )


def _on_signals(handler: Callable[[], object]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, handler)


def _exit_now() -> None:
    """Ends the process. Python's own way out would wait for a load that hangs, or for gRPC's last connection."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)
