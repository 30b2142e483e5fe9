"""Metrics: what the service has counted, for Prometheus. The only import of prometheus_client.

Nothing is computed while calls run. The numbers are kept in tallies, and read when Prometheus asks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import accumulate
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from serving.batching.batcher import Batcher
from serving.in_flight import Calls
from serving.models.registry import Models
from serving.models.reloading import Reloads
from serving.tally import CallTally, Histogram
from serving.telemetry.http_port import Page
from serving.transport.held import Held

_GRAPH = ["model", "version", "graph"]


class Sources(NamedTuple):
    """Where the numbers are kept. Those that are functions are called on the thread that answers Prometheus."""

    models: Models
    calls: Calls
    held: Held
    tally: CallTally
    reloads: Reloads
    is_ready: Callable[[], bool]
    turn_seconds: Callable[[], float]
    """How long the event loop takes to come to a new task."""


class ServiceCollector(Collector):
    """Reads the tallies."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Yields every metric of the service."""
        yield from self._calls()
        yield from self._batches()
        yield from self._models()
        yield GaugeMetricFamily("vae_ready", "1 while the health is SERVING.", value=self._sources.is_ready())
        turn_seconds = self._sources.turn_seconds()
        yield GaugeMetricFamily("vae_loop_turn_seconds", "Time until the event loop took a task.", value=turn_seconds)

    def _calls(self) -> Iterator[Metric]:
        seconds = HistogramMetricFamily(
            "vae_call_seconds", "Duration of calls that have ended.", labels=["method", "over", "code"]
        )
        for labels, histogram in sorted(self._sources.tally.seconds.items()):
            _add(seconds, labels, histogram)
        yield seconds
        yield GaugeMetricFamily("vae_calls_in_flight", "Calls not answered yet.", value=self._sources.calls.in_flight)
        yield GaugeMetricFamily("vae_open_calls", "RPCs open, streams included.", value=self._sources.calls.open)
        refused = CounterMetricFamily(
            "vae_admission_refused_calls", "Calls refused before they were read.", labels=["code"]
        )
        for code, count in sorted(self._sources.tally.refused.items()):
            refused.add_metric([code], count)
        yield refused
        held = self._sources.held
        yield GaugeMetricFamily("vae_held_bytes", "Memory that callers hold.", value=held.bytes)
        yield GaugeMetricFamily("vae_held_limit_bytes", "Maximum memory that callers may hold.", value=held.limit_bytes)
        yield CounterMetricFamily(
            "vae_held_refused_calls", "Calls refused because memory was short.", value=held.refused
        )

    def _batches(self) -> Iterator[Metric]:
        queued = HistogramMetricFamily("vae_queued_seconds", "Time of calls in the queue.", labels=[*_GRAPH, "class"])
        running = HistogramMetricFamily("vae_running_seconds", "Time of batches on the device.", labels=_GRAPH)
        batch_rows = HistogramMetricFamily("vae_batch_rows", "Rows of batches.", labels=_GRAPH)
        waiting = GaugeMetricFamily("vae_queue_rows", "Rows that wait.", labels=_GRAPH)
        refused = CounterMetricFamily("vae_refused_calls", "Calls refused by a queue.", labels=[*_GRAPH, "reason"])
        dropped = CounterMetricFamily("vae_dropped_rows", "Rows that never ran.", labels=[*_GRAPH, "reason"])
        wasted = CounterMetricFamily("vae_wasted_rows", "Rows that ran for nobody.", labels=_GRAPH)
        broken = CounterMetricFamily("vae_non_finite_rows", "Rows answered with NaN or infinity.", labels=_GRAPH)
        rerun = CounterMetricFamily("vae_rerun_rows", "Rows that overflowed, run again in float32.", labels=_GRAPH)
        failed = CounterMetricFamily("vae_failed_batches", "Batches that failed.", labels=_GRAPH)
        halved = CounterMetricFamily("vae_halved_batches", "Batches that ran out of memory once.", labels=_GRAPH)
        for labels, batcher, rerun_rows in self._batchers():
            tally = batcher.tally
            _add(queued, [*labels, "interactive"], tally.queued_seconds)
            _add(queued, [*labels, "bulk"], tally.bulk_queued_seconds)
            _add(running, labels, tally.running_seconds)
            _add(batch_rows, labels, tally.batch_rows)
            waiting.add_metric(labels, batcher.waiting_rows)
            refused.add_metric([*labels, "full"], tally.refused_full)
            refused.add_metric([*labels, "deadline"], tally.refused_unreachable)
            dropped.add_metric([*labels, "late"], tally.late_rows)
            dropped.add_metric([*labels, "cancelled"], tally.cancelled_rows)
            wasted.add_metric(labels, tally.wasted_rows)
            broken.add_metric(labels, tally.non_finite_rows)
            rerun.add_metric(labels, rerun_rows.get(labels[-1], 0))
            failed.add_metric(labels, tally.failed_batches)
            halved.add_metric(labels, tally.halved_batches)
        yield from (queued, running, batch_rows, waiting)
        yield from (refused, dropped, wasted, broken, rerun, failed, halved)

    def _models(self) -> Iterator[Metric]:
        info = InfoMetricFamily("vae_model", "Models that are served.")
        for served in self._sources.models:
            name, version = served.key
            labels = {
                "name": name,
                "version": str(version),
                "fingerprint": served.manifest.fingerprint,
                "provider": served.provider,
                "executors": str(served.execution.executors),
                "threads": str(served.execution.threads),
                "batch_rows": str(served.limits.batch_rows),
            }
            info.add_metric([], labels)
        yield info
        reloads = CounterMetricFamily(
            "vae_reloads", "Packages accepted and refused, those at the start included.", labels=["model", "result"]
        )
        ok, failed, refusals = self._sources.reloads.ok, self._sources.reloads.failed, self._sources.reloads.refusals
        for name in sorted({*ok, *failed}):
            reloads.add_metric([name, "ok"], ok[name])
            reloads.add_metric([name, "failed"], failed[name])
        yield reloads
        yield GaugeMetricFamily("vae_refused_packages", "Packages that are refused now.", value=len(refusals))

    def _batchers(self) -> Iterator[tuple[list[str], Batcher[Any, Any], Mapping[str, int]]]:
        for served in self._sources.models:
            name, version = served.key
            for graph, batcher in served.batchers.items():
                yield [name, str(version), graph], batcher, served.proved.engine.rerun_rows


def metrics_page(sources: Sources) -> Callable[[str], Page]:
    """Returns the page that answers Prometheus, in the format that an Accept header asks for."""
    registry = CollectorRegistry()
    registry.register(ServiceCollector(sources))
    for process in (ProcessCollector, PlatformCollector, GCCollector):
        process(registry=registry)

    def page(accept: str) -> Page:
        encode, kind = choose_encoder(accept)
        return Page(HTTPStatus.OK, encode(registry), kind)

    return page


def _add(family: HistogramMetricFamily, labels: Sequence[str], histogram: Histogram) -> None:
    bounds = [*map(str, map(float, histogram.bounds)), "+Inf"]
    family.add_metric(labels, list(zip(bounds, accumulate(histogram.counts), strict=True)), histogram.total)
