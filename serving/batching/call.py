"""Call: the rows of one caller while they wait or run, and the answer that they get."""

import asyncio
import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from serving.tracing.call_span import RowsSpans


class CuttableRows(Protocol):
    """Rows that can be counted and cut."""

    @property
    def key(self) -> Hashable:
        """What rows must have in common to run together; None for rows that are all alike."""
        ...

    def __len__(self) -> int: ...

    def part(self, start: int, stop: int) -> Self:
        """Returns rows start to stop - 1."""
        ...


R = TypeVar("R", bound=CuttableRows)
A = TypeVar("A")


class Answer(NamedTuple, Generic[A]):
    """The answer to a call's rows, and what it cost."""

    parts: list[A]
    """In the order of the rows; one, unless the call was cut."""
    queued_seconds: float
    """Until its last row began to run."""
    running_seconds: float
    """That the batches with its rows ran, in all."""
    batch_rows: int
    """Rows in the largest of those batches, other callers' rows included."""


@dataclass(eq=False, slots=True)
class Call(Generic[R, A]):
    """A call that waits, or whose rows run."""

    rows: R
    future: asyncio.Future[Answer[A]]
    arrived: float
    deadline: float = math.inf
    start_by: float = 0.0
    """When a free device stops waiting for its batch to fill."""
    bulk: bool = False
    row_weight: int = 1
    """Weight of one of its rows, in light rows."""
    expected_seconds: float | None = None
    """From its arrival to its answer, as expected when it came; None without a deadline, or where it was a guess."""
    place: int = 0
    """When its turn comes, while it waits: after those of lower numbers."""
    turn: int = 0
    """Rows taken in its present turn."""
    waiting: int = field(init=False)
    """Rows not yet taken for a batch."""
    unanswered: int = field(init=False)
    """Rows that wait or run."""
    parts: dict[int, A] = field(default_factory=dict)
    """By their first row; executors side by side may finish them in any order."""
    queued_seconds: float = 0.0
    running_seconds: float = 0.0
    batch_rows: int = 0
    spans: "RowsSpans | None" = None
    """Of a call that is recorded."""

    def __post_init__(self) -> None:
        self.waiting = self.unanswered = len(self.rows)

    def is_unwanted(self, now: float) -> bool:
        """Whether it is over or late, so that its rows need not run."""
        return self.future.done() or self.deadline <= now


class Piece(NamedTuple, Generic[R, A]):
    """A call's share of a batch."""

    call: Call[R, A]
    start: int
    """Which of the call's rows is its first."""
    rows: R


class Dropped(NamedTuple, Generic[R, A]):
    """A call that left the line before all of its rows were taken."""

    call: Call[R, A]
    rows: int
    """Rows that will never run."""
