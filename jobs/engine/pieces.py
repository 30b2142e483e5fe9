"""Work in slices: which are on their way to a service, and how far it has answered."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from jobs.engine.answers import Answers, Work, joined, rows_of
from vaeserve.package.sizes import PictureSize


class Pieces:
    """Work that is on its way, and how far it is answered.

    Args:
        work: all of it.
        slice_rows: returns how many rows of a size a message holds.
        counts_on: whether a stream numbers its rows, so that it can hold only work whose addresses follow each other.
    """

    def __init__(
        self, work: Iterable[Work], slice_rows: Callable[[PictureSize | None], int], *, counts_on: bool
    ) -> None:
        self._work, self._slice_rows, self._counts_on = iter(work), slice_rows, counts_on
        self._waiting: deque[Work] = deque()  # without an answer, or with some
        self._parts: list[Answers] = []  # of the first that waits
        self._done = 0  # rows of the first that waits

    def position(self) -> Work | None:
        """Returns what is left of the first piece without all answers; None: everything is answered."""
        if not self._waiting and (piece := next(self._work, None)) is not None:
            self._waiting.append(piece)
        return self._waiting[0].part(self._done, self._waiting[0].row_count) if self._waiting else None

    def slices(self) -> Iterator[Work]:
        """Yields what one stream can hold of all that is not answered now or still to be read, a slice at a time."""
        end = None
        for piece in self._unanswered():
            if self._counts_on and end not in (None, piece.first_row):
                return
            end = piece.first_row + piece.row_count
            step = self._slice_rows(piece.size)
            for start in range(0, piece.row_count, step):
                yield piece.part(start, min(start + step, piece.row_count))

    def answered(self, answers: Answers) -> Iterator[Answers]:
        """Takes the answers to the next rows, which lie in one piece; yields those of the piece if it is complete."""
        self._parts.append(answers)
        self._done += rows_of(answers)
        if self._done == self._waiting[0].row_count:
            parts, self._parts, self._done = self._parts, [], 0
            self._waiting.popleft()
            yield joined(parts)

    def _unanswered(self) -> Iterator[Work]:
        done = self._done
        for piece in [*self._waiting]:
            yield piece.part(done, piece.row_count)
            done = 0
        for piece in self._work:
            self._waiting.append(piece)
            yield piece
