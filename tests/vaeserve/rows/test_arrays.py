"""Rows as float16, or a refusal that names the row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaeserve.errors import PreconditionFailed
from vaeserve.rows.arrays import to_float16


@given(st.lists(st.floats(width=32), min_size=1, max_size=20))
def test_float16_holds_the_nearest_value_or_says_so(values: list[float]) -> None:
    rows = np.array([values], np.float32)
    try:
        short = to_float16(rows, "latent")
    except PreconditionFailed as exc:
        assert exc.reason == "FLOAT16_OVERFLOW"
        assert np.abs(rows[np.isfinite(rows)]).max() >= 65_520
        return
    assert short.dtype == np.float16
    np.testing.assert_array_equal(np.isfinite(short), np.isfinite(rows))
    with np.errstate(invalid="ignore"):
        wrong = np.abs(short.astype(np.float64) - rows) > np.maximum(np.abs(rows) * 2.0**-11, 2.0**-25)
    assert not wrong.any()


def test_what_float16_cannot_hold_names_its_row() -> None:
    rows = np.array([[0, np.inf], [65_519, 65_520]], np.float32)
    with pytest.raises(PreconditionFailed, match=r"^latent: 65520\.0 in row 1 at \[1\] is too large for float16"):
        to_float16(rows, "latent")
    counts = np.array([[255]], np.uint8)
    assert to_float16(counts, "data") is counts
