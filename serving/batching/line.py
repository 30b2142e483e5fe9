"""Line: the calls that wait for one graph, in two classes, and how the rows of a batch are chosen from them.

Interactive calls go first. Bulk calls fill the room that is left where that pays, and one row in eight is theirs while
both classes wait. Within a class, calls take turns. A call with more rows than a batch has room for is cut. Its turn
ends after a batch, or after 64 rows where batches are smaller; the rest of it then goes to the end of its class.

Only rows of one key run together. The first call decides the key of the next batch; later calls of that key join it in
their order, and the others keep their places. So a call waits for nobody but those before it. Where the first bulk call
has another key than the first interactive one, bulk saves its share up for a batch of its own. Shares are of weight.
"""

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import chain, count
from typing import Generic, NamedTuple

from serving.batching.bulk_share import BulkShare
from serving.batching.call import A, Call, Dropped, Piece, R
from serving.batching.lane import Lane
from serving.batching.lanes import Lanes
from serving.batching.load import Load


class Taken(NamedTuple, Generic[R, A]):
    """What left the line when a batch was made."""

    pieces: list[Piece[R, A]]
    """The batch."""
    dropped: list[Dropped[R, A]]
    """Calls that were over or late."""


class WorkAhead(NamedTuple):
    """What is likely to run until a new call's last rows have run."""

    own: Load
    """Rows of its key, its own included."""
    others: Sequence[Load] = ()
    """Rows of each other key."""


def _always_fill(rows: int, row_weight: int) -> float:
    return math.inf


class Line(Generic[R, A]):
    """Calls in the order of their turns.

    Args:
        batch_rows: maximum weight of a batch.
    """

    def __init__(self, batch_rows: int) -> None:
        self._batch_rows = batch_rows
        places = count()
        self._interactive: Lanes[R, A] = Lanes(batch_rows, places)
        self._bulk: Lanes[R, A] = Lanes(batch_rows, places)
        self._share = BulkShare(batch_rows)

    def __iter__(self) -> Iterator[Call[R, A]]:
        for lane in chain(self._interactive, self._bulk):
            yield from lane.calls

    @property
    def weight(self) -> int:
        """Weight of the rows that wait, of both classes."""
        return self._interactive.weight + self._bulk.weight

    @property
    def bulk_weight(self) -> int:
        """Weight of those of them that are bulk."""
        return self._bulk.weight

    @property
    def is_interactive(self) -> bool:
        """Whether an interactive call waits."""
        return bool(self._interactive.weight)

    @property
    def next(self) -> Load:
        """The rows of the next batch, if no call leaves."""
        lane = self._leader(self._interactive.first, self._bulk.first)
        return Load(min(self._rows(lane.key), lane.batch_rows), lane.row_weight) if lane else Load(0)

    @property
    def has_full_batch(self) -> bool:
        """Whether enough rows for a full batch wait: of the next one's key, or of several keys."""
        return self.weight >= self._batch_rows or self.next.fills(self._batch_rows)

    @property
    def loads(self) -> list[Load]:
        """The rows that wait, of each key."""
        weights = {lane.key: lane.row_weight for lane in chain(self._interactive, self._bulk) if lane.calls}
        return [Load(self._rows(key), row_weight) for key, row_weight in weights.items()]

    def add(self, call: Call[R, A]) -> None:
        """Puts a call at the end of its class."""
        self._class_of(call).add(call)

    def following(self, call: Call[R, A]) -> int:
        """Returns how many full batches of an interactive call are left in its turn, where they come next in any case.

        Where bulk waits, too, that may get a share of them.
        """
        lane = self._interactive.first
        if self._bulk.weight or lane is None or lane.head is not call:
            return 0
        return lane.rest_of_turn // lane.batch_rows

    def drop(self, call: Call[R, A]) -> int:
        """Removes a call. Returns how many of its rows will never run."""
        return self._class_of(call).drop(call)

    def take(self, now: float, price: Callable[[int, int], float] = _always_fill) -> Taken[R, A]:
        """Takes the next batch. Calls that are over or late by then leave the line too.

        Args:
            now: the time, on the clock of the calls' deadlines.
            price: the share of a full batch's time, in weight, that so many rows of a weight take by themselves. Where
                that is little more than their weight, bulk gets only its share of the batch; otherwise it fills the
                batch up.
        """
        dropped: list[Dropped[R, A]] = []
        first, first_bulk = self._interactive.first_wanted(now, dropped), self._bulk.first
        if first is None or (first_bulk is not None and self._may_exclude(first_bulk, first)):
            first_bulk = self._bulk.first_wanted(now, dropped)
        lane = self._leader(first, first_bulk)
        if lane is None:
            self._share.forget()
            return Taken([], dropped)
        is_apart = first_bulk is not None and first_bulk.key != lane.key
        owed = 0 if first_bulk is None or is_apart else self._share.rows(first_bulk)
        batch = self._interactive.take(lane.key, lane.batch_rows - owed, now, dropped)
        taken = Load(_count(batch), lane.row_weight)
        cost = price(*taken) if batch and self._bulk.weight else math.inf
        surcharge = cost - taken.weight if self._bulk.rows(lane.key) else math.inf
        is_filled = self._share.fills(surcharge)
        bulk = self._bulk.take(lane.key, lane.batch_rows - taken.rows if is_filled else owed, now, dropped)
        joined = _count(bulk) * lane.row_weight
        if (next_bulk := self._bulk.first) is None:
            self._share.forget()
        else:
            charged = self._share.cost_apart(taken.weight, cost) if is_apart else taken.weight
            self._share.count(charged, 0 if is_apart else joined, next_bulk)
            self._share.count_surcharge(0.0 if is_filled else surcharge, joined)
        return Taken(batch + bulk, dropped)

    def ahead(self, load: Load, key: Hashable, *, bulk: bool) -> WorkAhead:
        """Returns what is likely to run until the last rows of a new call have run, whose rows are such a load."""
        if key is None:
            rows = load.rows + self._interactive.alike.rows_before(load)
            return WorkAhead(Load(rows + self._bulk.alike.rows_before(load) if bulk else rows))
        loads = self._interactive.before(load, key)
        if bulk:
            for other, before in self._bulk.before(load, key).items():
                loads[other] = Load(before.rows + loads.get(other, Load(0)).rows, before.row_weight)
        own = Load(load.rows + loads.pop(key, Load(0)).rows, load.row_weight)
        others = list(loads.values())
        first_bulk = None if bulk else self._bulk.first
        if first_bulk is not None and first_bulk.key != key:
            interactive = own.weight + sum(other.weight for other in others)
            if self._share.owes_batch(first_bulk, interactive):
                others.append(first_bulk.next)
        return WorkAhead(own, others)

    def _leader(self, first: Lane[R, A] | None, first_bulk: Lane[R, A] | None) -> Lane[R, A] | None:
        """Returns the lane that decides the key of the next batch, of the first ones of both classes."""
        if first is None or first_bulk is None:
            return first or first_bulk
        return first_bulk if first.key != first_bulk.key and self._share.owes_batch(first_bulk) else first

    def _may_exclude(self, first_bulk: Lane[R, A], first: Lane[R, A]) -> bool:
        """Whether what is owed to bulk may leave the interactive rows no room in the next batch."""
        return first_bulk.key != first.key or self._share.rows(first_bulk) == first.batch_rows

    def _rows(self, key: Hashable) -> int:
        return self._interactive.rows(key) + self._bulk.rows(key)

    def _class_of(self, call: Call[R, A]) -> Lanes[R, A]:
        return self._bulk if call.bulk else self._interactive


def _count(pieces: list[Piece[R, A]]) -> int:
    return sum(len(piece.rows) for piece in pieces)
