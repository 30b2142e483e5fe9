"""Batch: the pieces of calls that run together."""

from collections.abc import Sequence
from typing import Generic

from serving.batching.call import A, Piece, R
from serving.interrupt import Interrupt


class Batch(Generic[R, A]):
    """Pieces that run together; their rows have one key."""

    __slots__ = ("interrupt", "is_backlogged", "key", "pieces", "row_weight", "rows", "started", "unwanted", "wanted")

    def __init__(self, pieces: Sequence[Piece[R, A]], *, is_backlogged: bool = False) -> None:
        self.pieces = pieces
        """All of them, including those left out, because whoever fails the batch must reach every call."""
        self.wanted = pieces
        """Those that run."""
        self.unwanted: Sequence[Piece[R, A]] = ()
        """Those that are left out."""
        self.rows = sum(len(piece.rows) for piece in pieces)
        """Number of rows that run."""
        self.key = pieces[0].rows.key
        """Of all its rows."""
        self.row_weight = pieces[0].call.row_weight
        """Weight of one of its rows."""
        self.is_backlogged = is_backlogged
        """Whether another full batch waited behind it when it was formed."""
        self.started = 0.0
        """When it began to run, on the monotonic clock; 0: not yet."""
        self.interrupt = Interrupt()

    def leave_out_unwanted(self, now: float) -> None:
        """Leaves out the pieces of calls that are over or late. Some are by the time that a thread begins."""
        self.unwanted = [piece for piece in self.pieces if piece.call.is_unwanted(now)]
        if self.unwanted:
            self.wanted = [piece for piece in self.pieces if piece not in self.unwanted]
            self.rows = sum(len(piece.rows) for piece in self.wanted)


def halves(pieces: Sequence[Piece[R, A]], rows: int) -> tuple[list[Piece[R, A]], list[Piece[R, A]]]:
    """Cuts pieces after so many rows; the piece on the border is cut in two."""
    first: list[Piece[R, A]] = []
    second: list[Piece[R, A]] = []
    for piece in pieces:
        share, size = min(rows, len(piece.rows)), len(piece.rows)
        rows -= share
        if share == size:
            first.append(piece)
        elif share == 0:
            second.append(piece)
        else:
            first.append(piece._replace(rows=piece.rows.part(0, share)))
            second.append(piece._replace(start=piece.start + share, rows=piece.rows.part(share, size)))
    return first, second
