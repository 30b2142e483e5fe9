"""Figures: a log of calls -> rates, percentiles, errors. No I/O: arrays in, figures out.

Rates count the answers that came during the measurement. Latencies and errors are those of the calls that were due
during it, whenever they ended, so that slow calls are not cut off.
"""

from collections.abc import Sequence

import grpc
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from vaeserve.command.bench.loops import COLUMNS, ShareOutcome

CALL = np.dtype([(name, np.float64) for name in COLUMNS])
"""One call of a log."""

Log = npt.NDArray[np.void]
"""[calls] of CALL."""

_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


class Spread(BaseModel):
    """How a quantity is spread over calls."""

    model_config = ConfigDict(frozen=True)

    mean: float
    p50: float
    p90: float
    p99: float
    p99_9: float
    max: float


class Figures(BaseModel):
    """The measurements of one point. A spread is None if no call was answered."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    """How long the measurement took."""
    calls: int
    """Calls that were due during the measurement, and have ended."""
    answered: int
    """Those of them that were answered; the others failed."""
    errors: dict[str, int]
    """Number of failed calls, by status."""
    unsent: int
    """Calls that were due but never sent, because their deadline had passed or the measurement was over."""
    was_bounded: bool
    """Whether calls left late because too many others were in flight."""
    calls_per_second: float
    rows_per_second: float
    good_per_second: float
    """Answers per second that came within their deadline."""
    latency_milliseconds: Spread | None
    """Of the answered calls, from when they were due."""
    late_milliseconds: Spread | None
    """By how much calls left later than they were due."""
    queued_milliseconds: Spread | None
    """Time in the server's queue, as the server reported it."""
    running_milliseconds: Spread | None
    """Running time of the batches, as the server reported it."""
    batch_rows: Spread | None
    """Rows in the batches that held the calls' rows, as the server reported them; each call counts once."""
    generator_share: float
    """Processor time of the busiest worker process, as a share of one core."""


def figures(outcomes: Sequence[ShareOutcome], begin: float, rows: int, deadline_seconds: float) -> Figures | None:
    """Returns the figures of a point, or None if it ended before the measurement began.

    Args:
        outcomes: of the processes' shares of it.
        begin: when the measurement began, on the monotonic clock.
        rows: in each call.
        deadline_seconds: an answer within this time is in time.
    """
    end = min(outcome.ended for outcome in outcomes)
    if end <= begin:
        return None
    log: Log = np.concatenate([np.frombuffer(outcome.log, CALL) for outcome in outcomes])
    is_answered = log["code"] == 0
    latency = log["finished"] - log["intended"]
    came = is_answered & _within(log["finished"], begin, end)
    measured = _within(log["intended"], begin, end)
    answered = log[measured & is_answered]
    seconds = end - begin
    return Figures(
        seconds=seconds,
        calls=np.count_nonzero(measured),
        answered=len(answered),
        errors=_errors(log["code"][measured & ~is_answered]),
        unsent=sum(outcome.unsent for outcome in outcomes),
        was_bounded=any(outcome.was_bounded for outcome in outcomes),
        calls_per_second=np.count_nonzero(came) / seconds,
        rows_per_second=np.count_nonzero(came) * rows / seconds,
        good_per_second=np.count_nonzero(came & (latency <= deadline_seconds)) / seconds,
        latency_milliseconds=spread(latency[measured & is_answered] * 1e3),
        late_milliseconds=spread((log["sent"] - log["intended"])[measured] * 1e3),
        queued_milliseconds=spread(answered["queued"] / 1e3),
        running_milliseconds=spread(answered["running"] / 1e3),
        batch_rows=spread(answered["batch_rows"]),
        generator_share=max(outcome.processor_share for outcome in outcomes),
    )


def spread(values: npt.NDArray[np.float64]) -> Spread | None:
    """Returns the spread of values, or None if there are none."""
    if not len(values):
        return None
    p50, p90, p99, p99_9, maximum = np.percentile(values, [50, 90, 99, 99.9, 100]).tolist()
    return Spread(mean=float(values.mean()), p50=p50, p90=p90, p99=p99, p99_9=p99_9, max=maximum)


def _within(times: npt.NDArray[np.float64], begin: float, end: float) -> npt.NDArray[np.bool_]:
    return (times >= begin) & (times < end)


def _errors(codes: npt.NDArray[np.float64]) -> dict[str, int]:
    numbers, counts = np.unique(codes.astype(int), return_counts=True)
    return {_CODES[number]: count for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)}
