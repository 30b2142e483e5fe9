import numpy as np

from training.card.sheet import Block, fitted, sheet
from training.card.tiles import GAP

RED = (255, 0, 0)


def block(lines: int, columns: int, **labels: object) -> Block:
    cells = np.full((lines, columns, 12, 10, 3), RED, np.uint8)
    return Block(cells, **labels)  # type: ignore[arg-type]


def reds(page: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the lines and columns of pixels that cells cover."""
    red = (page == RED).all(2)
    return np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))


def starts(places: np.ndarray) -> list[int]:
    return [int(place) for place in places if place - 1 not in places]


def test_every_cell_is_whole_and_apart_from_its_neighbours() -> None:
    page = sheet([block(2, 3)])
    assert (page == RED).all(2).sum() == 6 * 12 * 10
    ys, xs = reds(page)
    assert np.diff(starts(ys)).tolist() == [12 + GAP]
    assert np.diff(starts(xs)).tolist() == [10 + GAP] * 2
    assert (page[0] == 255).all()


def test_groups_stand_further_apart() -> None:
    ys, xs = reds(sheet([block(3, 3, new_lines=(2,), new_columns=(1,))]))
    assert np.diff(starts(ys)).tolist() == [14, 22]
    assert np.diff(starts(xs)).tolist() == [20, 12]


def test_labels_are_written_whole_and_beside_the_cells() -> None:
    plain, page = sheet([block(1, 2)]), sheet([block(1, 2, line_labels=("a long label",), column_labels=("0", "1"))])
    (first, *_), (left, *_) = reds(page)
    assert left > reds(plain)[1][0] + 60
    assert (page[first:, : left // 2] < 128).any()  # it begins far left of the cells
    label, above = page[first:, :left], page[:first, left:]
    for written in (label, above):
        assert (written < 128).any()
        assert (written[:, 0] == 255).all()  # no letter is cut


def test_a_label_is_cut_where_it_would_reach_its_neighbours() -> None:
    assert fitted("9", 10) == "9"
    assert fitted("fox", 56) == "fox"
    assert fitted("golden retriever", 56) == "golden\N{HORIZONTAL ELLIPSIS}"


def test_a_heading_widens_the_page_and_blocks_share_their_left() -> None:
    heading = "prior with a name that is wider than its only cell"
    page = sheet([block(1, 1, heading=heading), block(1, 1, line_labels=("z0",))])
    assert page.shape[1] > 300
    assert (page[:, -4:] == 255).all()
    assert len(starts(reds(page)[1])) == 1
