import numpy as np

from tests.training.card.conftest import Subject
from training.card.grids import grids
from training.card.tiles import cells


def test_grids_hold_rows_above_reconstructions_and_samples(images: Subject) -> None:
    served, rows, _ = images
    again = served.expectation(served.encode(rows.test).mean)
    found = grids(rows.test, again, again[::-1], served.data)
    assert found.reconstructions.dtype == found.samples.dtype == np.uint8
    assert found.samples.shape[2] == 3
    np.testing.assert_array_equal(found.reconstructions[:56, :56], cells(rows.test[:1], served.data)[0])
    np.testing.assert_array_equal(found.reconstructions[58:114, :56], cells(again[:1], served.data)[0])
    np.testing.assert_array_equal(found.samples[:56, 58:114], cells(again[-2:-1], served.data)[0])


def test_no_more_is_shown_than_fits_and_one_row_is_enough(images: Subject) -> None:
    rows = images.rows.test
    one = grids(rows[:1], rows[:1], rows[:1], images.served.data)
    assert one.reconstructions.shape == (114, 56, 3)
    full = grids(rows, rows, rows, images.served.data)
    assert full.samples.shape[0] == 4 * 58 - 2
    more = np.concatenate([rows, rows])
    assert grids(more, more, more, images.served.data).samples.shape == full.samples.shape
