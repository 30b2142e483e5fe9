import asyncio
import time
from collections.abc import Callable, Iterator

import pytest

from serving.batching.batch import Batch, halves
from serving.batching.call import Call, Piece
from tests.serving.conftest import Numbers

NumbersPiece = Piece[Numbers, list[int]]


PieceOf = Callable[..., NumbersPiece]


@pytest.fixture
def piece() -> Iterator[PieceOf]:
    loop = asyncio.new_event_loop()

    def piece_of(*numbers: int, start: int = 0, left_seconds: float = 60.0) -> NumbersPiece:
        now, rows = time.monotonic(), Numbers(numbers)
        return Piece(Call(rows, loop.create_future(), now, now + left_seconds), start, rows)

    yield piece_of
    loop.close()


@pytest.mark.parametrize(
    ("rows", "first", "second"),
    [
        (2, [(0, 2)], [(7, 4)]),
        (4, [(0, 2), (7, 2)], [(9, 2)]),
        (1, [(0, 1)], [(1, 1), (7, 4)]),
    ],
)
def test_pieces_are_cut_after_so_many_rows(
    piece: PieceOf, rows: int, first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    cut = halves([piece(1, 2), piece(3, 4, 5, 6, start=7)], rows)
    assert [[(part.start, len(part.rows)) for part in half] for half in cut] == [first, second]


def test_pieces_of_late_calls_do_not_run_but_stay_in_the_batch(piece: PieceOf) -> None:
    wanted, late = piece(1, 2), piece(3, left_seconds=-1)
    batch = Batch([wanted, late])
    batch.leave_out_unwanted(time.monotonic())
    assert (batch.wanted, batch.unwanted, batch.rows) == ([wanted], [late], 2)
    assert batch.pieces == [wanted, late]
