"""Reports: a table that gets a line whenever a point ends, notes below it; or one JSON object."""

import json
import platform
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from vaeserve.client.description import Model
from vaeserve.command.bench.figures import Figures, Spread
from vaeserve.command.bench.plan import BenchPlan, ClosedLoop, LoadPoint, OpenLoop
from vaeserve.package.sizes import PictureSize
from vaeserve.printable import printable

_FULL_SHARE = 0.9  # of a core: above it a Python process has no time to spare
_LATE_MILLISECONDS = 10.0
_PACKAGES = ("vaeserve", "grpcio", "protobuf", "numpy")
_GROUPS = (("load", 14), ("answers per second", 32), ("latency, milliseconds", 35), ("", 8), ("mean at the server", 26))
_HEAD = (
    "  rows {:>7}     calls       rows    in time    p50    p90    p99  p99.9    max  errors  queued ms  run ms  batch"
)


class PointResult(NamedTuple):
    """A point and its measurements."""

    point: LoadPoint
    figures: Figures


def heading(plan: BenchPlan, model: Model, target: str, size: PictureSize | None = None) -> str:
    """Returns what is measured and how, and the head of the table."""
    pair = f"{printable(model.name)}, version {model.version}, on {printable(model.provider)} at {target}"
    pair += f"; pictures of {size}" if size else ""
    times = f"{plan.duration_seconds:g} s per line after {plan.warmup_seconds:g} s of warm-up"
    groups = "".join(f"  {f' {name} ':-^{width - 2}}" if name else " " * width for name, width in _GROUPS)
    titles = _HEAD.format("callers" if isinstance(plan.points[0].load, ClosedLoop) else "calls/s")
    return f"{pair}\n{plan.rpc}: {times}; in time means within {_seconds(plan.deadline_seconds)}\n\n{groups}\n{titles}"


def line(result: PointResult) -> str:
    """Returns a point's line of the table."""
    (rows, load), figures = result
    offered = load.callers if isinstance(load, ClosedLoop) else load.rate
    latency, failed = figures.latency_milliseconds, figures.calls - figures.answered
    spread = [latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max] if latency else [None] * 5
    return (
        f"{rows:>6} {offered:>7,.5g} {figures.calls_per_second:>9,.0f} {figures.rows_per_second:>10,.0f}"
        f" {figures.good_per_second:>10,.0f}{''.join(f'{_short(value):>7}' for value in spread)} {failed:>7,}"
        f" {_mean(figures.queued_milliseconds):>10} {_mean(figures.running_milliseconds):>7}"
        f" {_mean(figures.batch_rows):>6}"
    )


def notes(results: Sequence[PointResult], *, was_interrupted: bool) -> Iterator[str]:
    """Yields what the table cannot show, one line each."""
    for point, figures in results:
        load = point_name(point)
        if figures.errors:
            yield f"{load}: failed with {', '.join(f'{code} {count:,}' for code, count in figures.errors.items())}"
        if figures.was_bounded:
            limit = f"{point.load.outstanding:,} calls" if isinstance(point.load, OpenLoop) else ""
            yield f"{load}: the server could not keep up: {limit} were in flight, so the next had to wait"
        if _is_the_limit(figures):
            yield f"{load}: the load generator was the limit, not the server: raise --processes, or send less"
        if figures.unsent:
            yield f"{load}: {figures.unsent:,} calls were not sent, because they were too late"
    shares = [round(100 * figures.generator_share) for _, figures in results]
    if shares:
        yield f"each worker process took {_range(shares)} % of a core"
    if was_interrupted:
        yield f"interrupted: the last line covers {results[-1].figures.seconds:.1f} s"


def _is_the_limit(figures: Figures) -> bool:
    """Whether calls left late because the load generator had no processor time."""
    late = figures.late_milliseconds
    is_late = late is not None and late.p90 > _LATE_MILLISECONDS
    return figures.generator_share >= _FULL_SHARE or ((is_late or figures.unsent > 0) and not figures.was_bounded)


def to_json(
    plan: BenchPlan, model: Model, settings: dict[str, object], results: Sequence[PointResult], *, was_interrupted: bool
) -> str:
    """Returns everything as one JSON object. Every name includes its unit."""
    document = {
        "settings": {
            **settings,
            "rpc": plan.rpc,
            "warmup_seconds": plan.warmup_seconds,
            "duration_seconds": plan.duration_seconds,
            "deadline_seconds": plan.deadline_seconds,
            "processes": plan.processes,
        },
        "model": model.model_dump(mode="json", include={"name", "version", "fingerprint", "provider"}),
        "points": [
            {"rows": point.rows, **point.load._asdict(), **figures.model_dump(mode="json")}
            for point, figures in results
        ],
        "interrupted": was_interrupted,
        "versions": _versions(),
    }
    return json.dumps(document, indent=2, allow_nan=False)


def point_name(point: LoadPoint) -> str:
    """Returns the name of a point in a note."""
    load = f"callers {point.load.callers:,}" if isinstance(point.load, ClosedLoop) else f"{point.load.rate:g} calls/s"
    return f"rows {point.rows:,}, {load}"


def _mean(spread: Spread | None) -> str:
    return _short(None if spread is None else spread.mean)


def _short(value: float | None) -> str:
    """Returns a number with about three digits; "-" for None."""
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def _range(values: Sequence[int]) -> str:
    return f"{min(values)}" if min(values) == max(values) else f"{min(values)} to {max(values)}"


def _seconds(value: float) -> str:
    return f"{value:g} s" if value >= 1 else f"{value * 1e3:g} ms"


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):  # it runs from its source
            versions[package] = version(package)
    return versions
