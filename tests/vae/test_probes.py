import numpy as np
import pytest

from vae.manifest import DataSpec, Tolerance
from vae.probes import Comparison, compare
from vae.tensors import Array

DIGITS = DataSpec(kind="image", shape=(1, 1, 1), dtype="uint8", minimum=0, maximum=16)
TOLERANCE = Tolerance(absolute=1e-3, relative=1e-2)


def float_rows(*values: float) -> Array:
    return np.array(values, np.float32)


def one(name: str, output: Array, reference: Array) -> Comparison:
    (comparison,) = compare({name: output}, {name: reference}, DIGITS, TOLERANCE)
    return comparison


def test_values_may_differ_by_both_tolerances() -> None:
    near = one("mean", float_rows(100.9, 0.0009), float_rows(100, 0))
    assert near.passed
    assert near.output == "mean"
    assert near.bound == "1e-03 + 1e-02 |reference|"
    assert near.largest_difference == pytest.approx(0.9, rel=1e-4)
    assert not one("mean", float_rows(101.1), float_rows(100)).passed


def test_expectations_may_differ_by_a_share_of_the_range() -> None:
    assert one("expectation", float_rows(5.015), float_rows(5)).passed
    assert not one("expectation", float_rows(5.02), float_rows(5)).passed


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_never_passes(value: float) -> None:
    assert not one("mean", float_rows(value), float_rows(value)).passed
    assert not one("mean", float_rows(1), float_rows(value)).passed
    assert not one("expectation", float_rows(value), float_rows(1)).passed


@pytest.mark.parametrize(
    ("output", "reference", "expectation", "passed"),
    [(5, 5, 5.2, True), (6, 5, 5.2, False), (6, 5, 5.4999, True), (5, 6, 5.5001, True), (7, 5, 5.5, False)],
)
def test_data_may_be_one_apart_at_a_rounding_tie(output: int, reference: int, expectation: float, passed: bool) -> None:
    outputs = {"data": np.array([output], np.uint8), "expectation": float_rows(expectation)}
    references = {"data": np.array([reference], np.uint8), "expectation": float_rows(expectation)}
    data, other = compare(outputs, references, DIGITS, TOLERANCE)
    assert data.passed is passed
    assert other.passed


def test_another_shape_or_type_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="mean is float32"):
        one("mean", float_rows(1, 2), float_rows(1))
    with pytest.raises(AssertionError, match="mean is float64"):
        one("mean", np.ones(1), float_rows(1))
