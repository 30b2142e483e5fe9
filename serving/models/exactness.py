"""Exactness: whether the bits of a row's answer depend on its neighbours in a batch, or on its place there."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, count, takewhile
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vaeserve.package.row_spec import Array

Places = npt.NDArray[np.intp]

RunGraph = Callable[[Mapping[str, Array]], Sequence[Array]]

# Rows to compare. Each runs alone once, which is what its other answers are held against.
_MINIMUM_ROWS, _MAXIMUM_ROWS = 2, 16
_LEAST_BATCHES = 2
_ORDERS = 2


class Exactness(NamedTuple):
    """What was seen of a graph, or of several, on one provider."""

    is_exact: bool
    """Whether every answer of a row had the same bits."""
    largest_difference: float
    """Between a row's answer in a batch and the one it got alone, over every floating-point output; 0 if exact."""


def probe_exactness(run: RunGraph, feeds: Mapping[str, Array], batch_rows: int, budget_seconds: float) -> Exactness:
    """Runs some rows alone, then in batches of several sizes and orders, and compares each row's bits.

    The largest batch, and one of two rows, are always tried; the others for as long as the time allows.

    Args:
        run: turns the graph's inputs into its outputs, each [rows, ...].
        feeds: inputs to try it on; at least one row.
        batch_rows: maximum number of rows in a batch.
        budget_seconds: after which no further batch is tried.

    Raises:
        EngineFailure: the graph could not be run.
    """
    end = time.monotonic() + budget_seconds
    alone = _alone(run, feeds, end - budget_seconds / 2)
    is_exact, largest = True, 0.0
    for tried, places in enumerate(_batches(len(alone[0]), batch_rows)):
        if tried >= _LEAST_BATCHES and time.monotonic() > end:
            break
        answers = run({name: feed[places] for name, feed in feeds.items()})
        for answer, expected in zip(answers, (reference[places] for reference in alone), strict=True):
            if answer.tobytes() != expected.tobytes():
                is_exact = False
                largest = max(largest, _difference(answer, expected))
    return Exactness(is_exact, largest)


def _alone(run: RunGraph, feeds: Mapping[str, Array], end: float) -> list[Array]:
    """Returns the answers of rows that each ran alone: of two at least, of no more than the time allows."""
    parts = []
    for row in range(min(_MAXIMUM_ROWS, *map(len, feeds.values()))):
        if row >= _MINIMUM_ROWS and time.monotonic() > end:
            break
        parts.append(run({name: feed[row : row + 1] for name, feed in feeds.items()}))
    return [np.concatenate(answers) for answers in zip(*parts, strict=True)]


def _batches(rows: int, batch_rows: int) -> Iterator[Places]:
    """Yields batches: which row stands at each place. Every size comes once in one order, then again in others."""
    powers = takewhile(lambda power: power < batch_rows, (2**exponent for exponent in count(2)))
    sizes = dict.fromkeys([batch_rows, min(2, batch_rows), *chain.from_iterable((p - 1, p) for p in powers)])
    random = np.random.default_rng(0)
    for _ in range(_ORDERS):
        order = random.permutation(rows)
        for size in sizes:
            yield np.resize(order, size)


def _difference(one: Array, other: Array) -> float:
    if not np.issubdtype(one.dtype, np.floating):
        return 0.0
    with np.errstate(invalid="ignore"):  # infinity less infinity
        return float(np.nan_to_num(np.abs(one.astype(np.float64) - other), nan=0.0).max(initial=0.0))
