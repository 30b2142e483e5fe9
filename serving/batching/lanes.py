"""Lanes: the calls of one class. Those of one key share a lane; places say who comes first, whatever the key."""

import math
from collections.abc import Hashable, Iterator
from typing import Generic

from serving.batching.call import A, Call, Dropped, Piece, R
from serving.batching.lane import Lane
from serving.batching.load import Load


class Lanes(Generic[R, A]):
    """Calls in the order of their turns.

    Args:
        batch_rows: maximum weight of a batch.
        places: the places at the end of the line, one after the other.
    """

    def __init__(self, batch_rows: int, places: Iterator[int]) -> None:
        self.weight = 0
        """Weight of the rows that wait."""
        self._batch_rows = batch_rows
        self._places = places
        self.alike: Lane[R, A] = Lane(None, 1, batch_rows, places)
        """The lane of rows that are all alike. It stays when it is empty; others go, because there may be many keys."""
        self._lanes: dict[Hashable, Lane[R, A]] = {None: self.alike}

    def __iter__(self) -> Iterator[Lane[R, A]]:
        return iter(self._lanes.values())

    @property
    def first(self) -> Lane[R, A] | None:
        """The lane whose turn it is."""
        if len(self._lanes) == 1:
            return self.alike if self.alike.calls else None
        waiting = (lane for lane in self._lanes.values() if lane.calls)
        return min(waiting, key=lambda lane: lane.head.place, default=None)

    def rows(self, key: Hashable) -> int:
        """Returns how many rows of a key wait."""
        lane = self._lanes.get(key)
        return lane.rows if lane else 0

    def add(self, call: Call[R, A]) -> None:
        """Puts a call at the end."""
        key = call.rows.key
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key, call.row_weight, self._batch_rows, self._places)
        lane.add(call)
        self.weight += call.waiting * lane.row_weight

    def drop(self, call: Call[R, A]) -> int:
        """Removes a call. Returns how many of its rows will never run."""
        lane = self._lanes.get(call.rows.key)
        if lane is None:
            return 0
        dropped = lane.drop(call)
        self._count_out(lane, dropped)
        return dropped

    def first_wanted(self, now: float, dropped: list[Dropped[R, A]]) -> Lane[R, A] | None:
        """Returns the lane whose turn it is, once the calls before it that are over or late are dropped."""
        while (lane := self.first) and (call := lane.head).is_unwanted(now):
            dropped.append(Dropped(call, self.drop(call)))
        return lane

    def take(self, key: Hashable, room: int, now: float, dropped: list[Dropped[R, A]]) -> list[Piece[R, A]]:
        """Takes the next rows of a key, `room` at most. Calls that are over or late by then are dropped."""
        lane = self._lanes.get(key)
        if lane is None:
            return []
        waiting = lane.rows
        pieces = lane.take(room, now, dropped)
        self._count_out(lane, waiting - lane.rows)
        return pieces

    def before(self, load: Load, key: Hashable) -> dict[Hashable, Load]:
        """Returns what is likely to run until a new call's load has run, by key, its own not included.

        The call may go with others of its key that came earlier. Then it waits only for those before them.
        """
        own, place, before = self._lanes.get(key), math.inf, {}
        if own is not None:
            rows = own.rows_before(load)
            place = own.place_of((rows + load.rows - 1) // own.batch_rows * own.batch_rows)
            before[key] = Load(rows, own.row_weight)
        for lane in self:
            if lane is not own:
                rows = lane.rows_before(load) if place == math.inf else lane.rows_of_turns_before(place)
                if rows:
                    before[lane.key] = Load(rows, lane.row_weight)
        return before

    def _count_out(self, lane: Lane[R, A], rows: int) -> None:
        """Counts rows that have left a lane, which goes when it is empty."""
        self.weight -= rows * lane.row_weight
        if not lane.calls and lane.key is not None:
            self._lanes.pop(lane.key, None)
