"""Lane: the calls of one class and one key, in the order of their turns."""

import math
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from itertools import takewhile
from typing import Generic

from serving.batching.call import A, Call, Dropped, Piece, R
from serving.batching.load import Load
from vaeserve.slices import rows_that_fit

_MINIMUM_TURN_WEIGHT = 64  # calls of middling size are done one after the other: in turns all of them would be late


class Lane(Generic[R, A]):
    """Calls whose rows may run together. It counts rows, because they all weigh the same.

    Args:
        key: what the rows have in common.
        row_weight: weight of one of them.
        batch_rows: maximum weight of a batch.
        places: the places at the end of the line, one after the other. All lanes take theirs from here.
    """

    def __init__(self, key: Hashable, row_weight: int, batch_rows: int, places: Iterator[int]) -> None:
        self.key = key
        self.row_weight = row_weight
        self.batch_rows = rows_that_fit(batch_rows, row_weight)
        """Maximum number of rows in a batch."""
        self.calls: OrderedDict[Call[R, A], None] = OrderedDict()
        self.rows = 0
        """Rows that wait."""
        self.turn_rows = 0
        """Rows that have run once every call has had one turn."""
        self._turn_limit = max(self.batch_rows, -(-_MINIMUM_TURN_WEIGHT // row_weight))
        self._places = places

    @property
    def head(self) -> Call[R, A]:
        """The call whose turn it is. There must be one."""
        # Finding the first key of a plain dict takes longer the more keys were removed.
        return next(iter(self.calls))

    @property
    def rest_of_turn(self) -> int:
        """Rows of the head that run before its turn is over; 0 where it has not begun."""
        return self._turn(self.head) if self.head.turn else 0

    @property
    def next(self) -> Load:
        """The rows of the next batch, as far as turns go."""
        return Load(min(self.turn_rows, self.batch_rows), self.row_weight)

    def add(self, call: Call[R, A]) -> None:
        """Puts a call at the end."""
        call.place = next(self._places)
        self.calls[call] = None
        self.rows += call.waiting
        self.turn_rows += self._turn(call)

    def drop(self, call: Call[R, A]) -> int:
        """Removes a call. Returns how many of its rows will never run."""
        if call not in self.calls:
            return 0
        del self.calls[call]
        self.turn_rows -= self._turn(call)
        dropped, call.waiting = call.waiting, 0
        self.rows -= dropped
        return dropped

    def take(self, room: int, now: float, dropped: list[Dropped[R, A]]) -> list[Piece[R, A]]:
        """Takes the next rows, `room` at most. Calls that are over or late by then are dropped."""
        pieces = []
        while room and self.calls:
            call = self.head
            if call.is_unwanted(now):
                dropped.append(Dropped(call, self.drop(call)))
                continue
            piece = self._cut(call, room)
            pieces.append(piece)
            room -= len(piece.rows)
        return pieces

    def rows_before(self, load: Load) -> int:
        """Returns how many rows are likely to run until a new call's load has run, its own not included."""
        if load.weight <= self._turn_limit * self.row_weight:
            return self.turn_rows
        rows = -(-load.weight // self.row_weight)
        return sum(min(call.waiting, rows) for call in self.calls)

    def rows_of_turns_before(self, place: float) -> int:
        """Returns how many rows run in the turns of the calls before a place."""
        return sum(map(self._turn, takewhile(lambda call: call.place < place, self.calls)))

    def place_of(self, row: int) -> float:
        """Returns the place of the call whose turn holds a row, of those that run in turns; infinity if none does."""
        if row < self.turn_rows:
            for call in self.calls:
                row -= self._turn(call)
                if row < 0:
                    return call.place
        return math.inf

    def _cut(self, call: Call[R, A], room: int) -> Piece[R, A]:
        """Takes the next rows of a call. The rest of a call whose turn is over goes to the end."""
        share = min(room, call.waiting)
        start = len(call.rows) - call.waiting
        rows = call.rows if share == len(call.rows) else call.rows.part(start, start + share)
        self.turn_rows -= self._turn(call)
        call.waiting -= share
        call.turn += share
        self.rows -= share
        if not call.waiting or call.turn >= self._turn_limit:
            del self.calls[call]
            call.turn = 0
            if call.waiting:
                call.place = next(self._places)
                self.calls[call] = None
        self.turn_rows += self._turn(call)
        return Piece(call, start, rows)

    def _turn(self, call: Call[R, A]) -> int:
        return min(call.waiting, self._turn_limit - call.turn)
