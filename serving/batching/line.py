"""Line: the calls that wait for one graph, in two classes, and how the rows of a batch are chosen from them.

Interactive calls go first. Bulk calls fill the room that is left where that pays, and one row in eight is theirs while
both classes wait. Within a class, calls take turns. A call with more rows than a batch has room for is cut. Its turn
ends after a batch, or after 64 rows where batches are smaller; the rest of it then goes to the end of its class.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple

from serving.batching.call import A, Call, Dropped, Piece, R

_BULK_SHARE = 8  # one row in so many, while both classes wait
_SURCHARGE_SHARE = 8  # one row's time in so many may be lost to bulk by batches that are not filled up
_MINIMUM_TURN_ROWS = 64  # calls of middling size are done one after the other: in turns all of them would be late


class Taken(NamedTuple, Generic[R, A]):
    """What left the line when a batch was made."""

    pieces: list[Piece[R, A]]
    """The batch."""
    dropped: list[Dropped[R, A]]
    """Calls that were over or late."""


class Line(Generic[R, A]):
    """Calls in the order of their turns.

    Args:
        batch_rows: maximum number of rows in a batch.
    """

    def __init__(self, batch_rows: int) -> None:
        self.rows = 0
        """Rows that wait, of both classes."""
        self.bulk_rows = 0
        """Those of them that are bulk."""
        self._batch_rows = batch_rows
        self._turn_limit = max(batch_rows, _MINIMUM_TURN_ROWS)
        # Keyed by whether they are bulk. Finding the first key of a plain dict takes longer the more keys were removed.
        self._calls: dict[bool, OrderedDict[Call[R, A], None]] = {False: OrderedDict(), True: OrderedDict()}
        self._turn_rows = {False: 0, True: 0}  # rows that have run once every call has had one turn
        self._unpaid = 0  # interactive rows that ran while bulk waited, and for which it has not had its share yet
        self._surcharges = 0.0  # cost of batches that were not filled up, less what the bulk rows since then allow

    def __iter__(self) -> Iterator[Call[R, A]]:
        for calls in self._calls.values():
            yield from calls

    @property
    def is_interactive(self) -> bool:
        """Whether an interactive call waits."""
        return bool(self._calls[False])

    def add(self, call: Call[R, A]) -> None:
        """Puts a call at the end of its class."""
        self._calls[call.bulk][call] = None
        self._count(call, call.waiting)
        self._turn_rows[call.bulk] += self._turn(call)

    def drop(self, call: Call[R, A]) -> int:
        """Removes a call. Returns how many of its rows will never run."""
        if call not in self._calls[call.bulk]:
            return 0
        del self._calls[call.bulk][call]
        self._turn_rows[call.bulk] -= self._turn(call)
        dropped, call.waiting = call.waiting, 0
        self._count(call, -dropped)
        return dropped

    def take(self, now: float, price: Callable[[int], float] = lambda rows: math.inf) -> Taken[R, A]:
        """Takes the next batch. Calls that are over or late by then leave the line too.

        Args:
            now: the time, on the clock of the calls' deadlines.
            price: the share of a full batch's time, in rows, that a number of rows takes by itself. Where that is
                little more than the number, bulk gets only its share of the batch; otherwise it fills the batch up.
        """
        dropped: list[Dropped[R, A]] = []
        owed = min(self._unpaid // (_BULK_SHARE - 1), self._turn_rows[True])
        batch = self._take_from(self._calls[False], self._batch_rows - owed, now, dropped)
        taken = sum(len(piece.rows) for piece in batch)
        surcharge = _SURCHARGE_SHARE * (price(taken) - taken) if taken and self._calls[True] else math.inf
        is_filled = self._surcharges + surcharge > self._batch_rows
        bulk = self._take_from(self._calls[True], self._batch_rows - taken if is_filled else owed, now, dropped)
        bulk_rows = sum(len(piece.rows) for piece in bulk)
        if self._calls[True]:
            unpaid = self._unpaid + taken - (_BULK_SHARE - 1) * bulk_rows
            self._unpaid = min(max(0, unpaid), (_BULK_SHARE - 1) * self._batch_rows)
            self._surcharges = max(0.0, self._surcharges + (0.0 if is_filled else surcharge) - bulk_rows)
        else:
            self._unpaid, self._surcharges = 0, 0.0
        return Taken(batch + bulk, dropped)

    def rows_until(self, rows: int, *, bulk: bool) -> int:
        """Returns how many rows are likely to run until a new call's own rows have run, these included."""
        before = (False, True) if bulk else (False,)
        if rows <= self._turn_limit:
            return rows + sum(self._turn_rows[kind] for kind in before)
        return rows + sum(min(call.waiting, rows) for kind in before for call in self._calls[kind])

    def _take_from(
        self, calls: OrderedDict[Call[R, A], None], room: int, now: float, dropped: list[Dropped[R, A]]
    ) -> list[Piece[R, A]]:
        batch = []
        while room and calls:
            call = next(iter(calls))
            if call.future.done() or call.deadline <= now:
                dropped.append(Dropped(call, self.drop(call)))
                continue
            piece = self._cut(call, room)
            batch.append(piece)
            room -= len(piece.rows)
        return batch

    def _cut(self, call: Call[R, A], room: int) -> Piece[R, A]:
        """Takes the next rows of a call. The rest of a call whose turn is over goes to the end of its class."""
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
