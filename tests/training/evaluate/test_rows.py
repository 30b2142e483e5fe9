import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.evaluate.rows import evenly


@given(st.integers(1, 500), st.integers(1, 500))
def test_places_are_spread_evenly(rows: int, wanted: int) -> None:
    places = evenly(rows, wanted)
    assert len(places) == min(rows, wanted)
    assert places[0] == 0
    assert places[-1] < rows
    gaps = np.diff(places)
    assert not len(gaps) or gaps.max() - gaps.min() <= 1 <= gaps.min()
