"""Puts the parts together: settings -> models -> services -> server; starts, and stops on a signal."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import closing, suppress

from serving.batching.device import Device
from serving.in_flight import Calls
from serving.models.registry import Models
from serving.models.reloading import Reloader
from serving.models.served import Served
from serving.settings import Settings
from serving.telemetry.logs import announce
from serving.tracing.starting import start_spans
from serving.transport.answering import Answering
from serving.transport.server import Server
from serving.turns import Turns
from serving.vae_v1.images import Images
from serving.vae_v1.servicer import vae_service
from vaeserve.errors import EngineFailure
from vaeserve.machine.cpus import available_cpus

_log = logging.getLogger(__name__)

_EXPORT_SECONDS = 2.0  # at the end, for the spans that are left


async def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT, then finishes the calls in flight; a second signal cuts that short.

    On SIGHUP it looks for packages again.

    Raises:
        EngineFailure: a task that must not end has ended.
        PackageError: there is no package that can be served.
        StartupError: the port or the provider is not available.
    """
    stop = asyncio.Event()
    _on_signals(stop.set)
    models = Models(settings.default_model)
    turns, calls = Turns(), Calls()
    reloader = Reloader(settings, models, Device(settings.executors or available_cpus(), turns, calls))
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.reload)
    spans = start_spans(os.environ)
    answering = Answering(settings.held_bytes, calls, spans)
    with closing(Images(available_cpus())) as images:
        services = [vae_service(models, images, settings.stream_bytes, answering, turns)]
        server = Server(services, answering, settings)
        _serve_http(settings, server, models, answering, reloader)
        async with server:
            starting = asyncio.create_task(reloader.start())
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not stop.is_set():
                await starting
                gc.collect()
                gc.freeze()  # or each later collection would go through all of it while callers wait
                await server.ready()
                for served in models.all():
                    announce(_log, _ready_line(served, server.address), settings.log_format)
                _check_default(models, settings.default_model)
                await _keep_going(stop, reloader, server, answering)
            _log.info("stopping: calls in flight have %g s to finish", settings.grace_seconds)
            _on_signals(_exit_now)
    if spans:  # an exporter whose collector does not answer would wait for half a minute
        _, late = await asyncio.wait([asyncio.create_task(asyncio.to_thread(spans.close))], timeout=_EXPORT_SECONDS)
        if late:
            _log.warning("the last spans were not exported within %g s", _EXPORT_SECONDS)
    _log.info("stopped")
    _exit_now()


def _serve_http(settings: Settings, server: Server, models: Models, answering: Answering, reloader: Reloader) -> None:
    """Answers monitoring, if there is a port for it."""
    if settings.metrics_port is not None:
        # Late, because it brings Prometheus's client and an HTTP server.
        from serving.telemetry.monitoring import serve_pages

        serve_pages((settings.host, settings.metrics_port), server, models, answering, reloader)


async def _keep_going(stop: asyncio.Event, reloader: Reloader, server: Server, answering: Answering) -> None:
    """Runs the tasks that last as long as the server, until it is to stop.

    Raises:
        EngineFailure: a task that must not end has ended.
    """
    heap, reading = answering.heap, answering.reading
    lasting = {
        "keeping up with packages": asyncio.create_task(reloader.run()),
        "keeping the memory small": asyncio.create_task(heap.keep_small(lambda: not reading.is_slow)),
    }
    ending = [asyncio.create_task(event.wait()) for event in (stop, reloader.broken, server.broken)]
    await asyncio.wait({*ending, *lasting.values()}, return_when=asyncio.FIRST_COMPLETED)
    for what, task in lasting.items():
        if task.done():
            _log.critical("%s ended", what, exc_info=task.exception())
        task.cancel()
    if server.broken.is_set():
        _exit_now(1)  # gRPC can no longer be stopped in an orderly way
    if not stop.is_set():
        raise EngineFailure("a task that must not end has ended, the log says why. This is a bug.")


def _check_default(models: Models, name: str) -> None:
    """Warns if the default model is missing. It may still come, and callers who name a model do not need it."""
    if name and name not in {served.manifest.name for served in models.all()}:
        _log.warning("default_model %s is not served yet: until it is, callers who name no model are refused", name)


def _ready_line(served: Served, address: str) -> str:
    name, version = served.key
    executors, threads, _, source = served.execution
    return (
        f"serving {name} version {version} on {address}, provider {served.provider},"
        f" {executors} x {threads} thread{'s' * (threads > 1)}, {served.limits.batch_rows} rows a batch ({source})"
    )


def _on_signals(handler: Callable[[], object]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, handler)


def _exit_now(code: int = 0) -> None:
    """Ends the process at once. Python's own exit would wait for a load that hangs, or for gRPC's last connection."""
    logging.shutdown()
    with suppress(OSError):
        sys.stdout.flush()
    os._exit(code)
