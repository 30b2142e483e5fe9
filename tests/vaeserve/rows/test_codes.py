import numpy as np
import pytest

from vaeserve.errors import InvalidInput
from vaeserve.rows.codes import CodesSpec, latents_of


def test_codes_stand_for_latents_from_minus_1_on() -> None:
    codes = np.array([[0, 0], [2, 4], [4, 7]], np.uint16)
    latents = latents_of(codes, [5, 8])
    assert latents.dtype == np.float32
    np.testing.assert_array_equal(latents, [[-1, -1], [0, 0], [1, 0.75]])
    assert not np.signbit(latents[1]).any()


def test_a_code_above_the_levels_is_refused_by_its_place() -> None:
    spec = CodesSpec((5, 8))
    assert spec.fit(np.array([[4, 7]]), "codes").dtype == np.uint16
    for codes, message in (
        ([[4, 7], [5, 0]], r"codes: 5 in row 1 at \[0\] must be below 5, the number of levels"),
        ([[0, 70000]], "cannot be converted to uint16 without loss"),
        ([[0, -1]], "cannot be converted to uint16 without loss"),
        ([[0.5, 1]], "cannot be converted to uint16 without loss"),
        ([[0]], r"has shape \[1, 1\], must be \[rows, 2\]"),
    ):
        with pytest.raises(InvalidInput, match=message):
            spec.fit(np.array(codes), "codes")
