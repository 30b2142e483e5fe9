"""Line: the calls that wait for one graph, in two classes, and how a batch is made of them.

Interactive calls go first. Bulk calls fill the room that is left where that pays, and while both wait one row in eight
is theirs. Within a class calls take turns. One with more rows than a batch has room for is cut; when its turn has given
it a batch, or 64 rows where batches are smaller, its rest goes to the end.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

_BULK_SHARE = 8  # one row in so many, while both classes wait
_SURCHARGE_SHARE = 8  # one row's time in so many may be lost to bulk by batches that are not filled up
_LEAST_TURN_ROWS = 64  # calls of middling size are done one after the other: in turns all of them would be late


class Rows(Protocol):
    """Rows that can be counted and cut."""

    def __len__(self) -> int: ...

    def part(self, start: int, stop: int) -> Self:
        """Returns rows start to stop - 1."""
        ...


R = TypeVar("R", bound=Rows)
A = TypeVar("A")


class Answer(NamedTuple, Generic[A]):
    """What became of a call's rows."""

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
    """How long it may be kept waiting for company."""
    bulk: bool = False
    expected_seconds: float | None = None
    """From its arrival to its answer, as expected when it came; None where nobody asked."""
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

    def __post_init__(self) -> None:
        self.waiting = self.unanswered = len(self.rows)


class Piece(NamedTuple, Generic[R, A]):
    """A call's share of a batch."""

    call: Call[R, A]
    start: int
    """Which of the call's rows is its first."""
    rows: R


class Line(Generic[R, A]):
    """Calls in order of their turns; one that is over leaves at once.

    Args:
        batch_rows: most rows in a batch.
    """

    def __init__(self, batch_rows: int) -> None:
        self.rows = 0
        """Rows that wait, of both classes."""
        self.bulk_rows = 0
        """Those of them that are bulk."""
        self._batch_rows = batch_rows
        self._turn_limit = max(batch_rows, _LEAST_TURN_ROWS)
        # By whether they are bulk. To find the first of a plain dict takes as long as there were calls before it.
        self._calls: dict[bool, OrderedDict[Call[R, A], None]] = {False: OrderedDict(), True: OrderedDict()}
        self._turn_rows = {False: 0, True: 0}  # that run when each call had one turn
        self._unpaid = 0  # interactive rows that ran while bulk waited, and that it has not got its share of
        self._surcharges = 0.0  # of batches that were not filled up, beyond what the bulk rows since then allow

    def __iter__(self) -> Iterator[Call[R, A]]:
        for calls in self._calls.values():
            yield from calls

    @property
    def is_interactive(self) -> bool:
        """Whether anyone waits who is not bulk."""
        return bool(self._calls[False])

    def add(self, call: Call[R, A]) -> None:
        """Puts a call at the end of its class."""
        self._calls[call.bulk][call] = None
        self._count(call, call.waiting)
        self._turn_rows[call.bulk] += self._turn(call)

    def drop(self, call: Call[R, A]) -> int:
        """Lets go of a call. Returns how many of its rows will never run."""
        if call not in self._calls[call.bulk]:
            return 0
        del self._calls[call.bulk][call]
        self._turn_rows[call.bulk] -= self._turn(call)
        dropped, call.waiting = call.waiting, 0
        self._count(call, -dropped)
        return dropped

    def take(
        self, is_wanted: Callable[[Call[R, A]], bool], price: Callable[[int], float] = lambda rows: math.inf
    ) -> list[Piece[R, A]]:
        """Takes the next batch.

        Args:
            is_wanted: a call that turns out not to be leaves the line.
            price: how many rows' share of a full batch's time so many take by themselves. Where that is little more
                than their own number bulk gets no more than its share of their batch; else it fills the batch up.
        """
        owed = min(self._unpaid // (_BULK_SHARE - 1), self._turn_rows[True])
        batch = self._take_from(self._calls[False], self._batch_rows - owed, is_wanted)
        taken = sum(len(piece.rows) for piece in batch)
        surcharge = _SURCHARGE_SHARE * (price(taken) - taken) if taken and self._calls[True] else math.inf
        is_filled = self._surcharges + surcharge > self._batch_rows
        bulk = self._take_from(self._calls[True], self._batch_rows - taken if is_filled else owed, is_wanted)
        bulk_rows = sum(len(piece.rows) for piece in bulk)
        if self._calls[True]:
            unpaid = self._unpaid + taken - (_BULK_SHARE - 1) * bulk_rows
            self._unpaid = min(max(0, unpaid), (_BULK_SHARE - 1) * self._batch_rows)
            self._surcharges = max(0.0, self._surcharges + (0.0 if is_filled else surcharge) - bulk_rows)
        else:
            self._unpaid, self._surcharges = 0, 0.0
        return batch + bulk

    def rows_until(self, rows: int, *, bulk: bool) -> int:
        """Returns how many rows are likely to run until those of a new call have, its own included."""
        before = (False, True) if bulk else (False,)
        if rows <= self._turn_limit:
            return rows + sum(self._turn_rows[kind] for kind in before)
        return rows + sum(min(call.waiting, rows) for kind in before for call in self._calls[kind])

    def _take_from(
        self, calls: OrderedDict[Call[R, A], None], room: int, is_wanted: Callable[[Call[R, A]], bool]
    ) -> list[Piece[R, A]]:
        batch = []
        while room and calls:
            call = next(iter(calls))
            if not is_wanted(call):
                self.drop(call)
                continue
            piece = self._cut(call, room)
            batch.append(piece)
            room -= len(piece.rows)
        return batch

    def _cut(self, call: Call[R, A], room: int) -> Piece[R, A]:
        """Takes the next rows of a call; one whose turn is over goes to the end of its class with the rest."""
        share = min(room, call.waiting)
        start = len(call.rows) - call.waiting
        rows = call.rows if share == len(call.rows) else call.rows.part(start, start + share)
        self._turn_rows[call.bulk] -= self._turn(call)
        call.waiting -= share
        call.turn += share
        self._count(call, -share)
        if not call.waiting or call.turn >= self._turn_limit:
            del self._calls[call.bulk][call]
            call.turn = 0
            if call.waiting:
                self._calls[call.bulk][call] = None
        self._turn_rows[call.bulk] += self._turn(call)
        return Piece(call, start, rows)

    def _count(self, call: Call[R, A], rows: int) -> None:
        self.rows += rows
        if call.bulk:
            self.bulk_rows += rows

    def _turn(self, call: Call[R, A]) -> int:
        return min(call.waiting, self._turn_limit - call.turn)
