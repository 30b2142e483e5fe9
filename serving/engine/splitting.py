"""Splitting: the rows of a batch's result -> an answer, or an error, for each element of the batch."""

from collections.abc import Sequence, Sized
from itertools import accumulate, pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from vaeserve.errors import NonFiniteOutput
from vaeserve.package.row_spec import Array

T = TypeVar("T")
S = TypeVar("S", bound=np.generic)


def split(joined: npt.NDArray[S], batch: Sequence[Sized]) -> list[npt.NDArray[S]]:
    """Cuts a result into the rows of each element."""
    if len(batch) == 1 and len(batch[0]) == len(joined):
        return [joined]
    ends = list(accumulate(len(rows) for rows in batch))
    if ends[-1] != len(joined):
        raise AssertionError(f"the graph answered {len(joined)} rows for {ends[-1]}. This is a bug.")
    return [joined[start:end] for start, end in pairwise([0, *ends])]


def refuse_non_finite(
    graph: str, answers: Sequence[T], batch: Sequence[Sized], joined: Array
) -> Sequence[T | NonFiniteOutput]:
    """Puts an error in the place of each answer whose rows of the graph's output hold NaN or infinity."""
    finite = np.isfinite(joined)
    if finite.all():
        return answers
    sound: npt.NDArray[np.bool_] = np.logical_and.reduce(finite.reshape(len(joined), -1), axis=1)
    rows = split(sound, batch)
    return [
        answer if good.all() else NonFiniteOutput(graph, np.flatnonzero(~good).tolist())
        for answer, good in zip(answers, rows, strict=True)
    ]
