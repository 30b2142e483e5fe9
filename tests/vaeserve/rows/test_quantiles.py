"""Quantiles: those of the normal distribution, the same bits for arrays, for single values and by the document."""

from statistics import NormalDist

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.support.noise_page import documented_quantile
from vaeserve.rows.quantiles import inverse_normal, inverse_normal_of_one


@given(st.integers(0, 2**52 - 1) | st.integers(0, 2**20) | st.integers(0, 2**20).map(lambda k: 2**52 - 1 - k))
def test_quantiles_can_be_written_from_the_document_alone(k: int) -> None:
    u = (k + 0.5) * 2.0**-52
    assert inverse_normal(np.array([u]))[0] == documented_quantile(u)


def test_quantiles_are_those_of_the_normal_distribution() -> None:
    ends = np.arange(500)
    k = np.concatenate([ends, 2**52 - 1 - ends, np.random.default_rng(0).integers(0, 2**52, 20_000)])
    uniforms = np.asarray((k + 0.5) * 2.0**-52, np.float64)
    expected = [NormalDist().inv_cdf(uniform) for uniform in uniforms]
    np.testing.assert_allclose(inverse_normal(uniforms), expected, rtol=2e-15, atol=0)


def test_quantiles_are_symmetric() -> None:
    k = np.random.default_rng(0).integers(0, 2**52, 10_000)
    uniforms = np.asarray((k + 0.5) * 2.0**-52, np.float64)
    np.testing.assert_array_equal(inverse_normal(1.0 - uniforms), -inverse_normal(uniforms))


@given(exponent=st.floats(-52, 0, exclude_max=True), is_upper=st.booleans())
def test_a_single_value_has_the_bits_of_many(exponent: float, is_upper: bool) -> None:
    probability = 1 - 2.0**exponent if is_upper else 2.0**exponent
    if 0 < probability < 1:
        many = inverse_normal(np.full((4, 25), probability))
        assert many.shape == (4, 25)
        assert inverse_normal_of_one(probability) == many[0, 0]
