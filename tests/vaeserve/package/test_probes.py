import numpy as np
import pytest

from vaeserve.package.contents import Tolerance
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.probes import Comparison, compare, parse_probe_name, probe_suffix, reach_of
from vaeserve.package.row_spec import Array
from vaeserve.package.sizes import PictureSize, PictureSizes

DIGITS = DataSpec(kind="image", shape=(1, 1, 1), dtype="uint8", minimum=0, maximum=16)
TOLERANCE = Tolerance(absolute=1e-3, relative=1e-2)


def float_rows(*values: float) -> Array:
    return np.array(values, np.float32)


def one(name: str, output: Array, reference: Array) -> Comparison:
    (comparison,) = compare({name: output}, {name: reference}, reach_of(DIGITS, reference), TOLERANCE)
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


def test_parameters_that_are_the_expectation_may_differ_as_it_may() -> None:
    expectation, logits = float_rows(5, 0), float_rows(5, 0.1)
    near = {"expectation": float_rows(5, 0.015), "parameters": float_rows(5, 0.015)}
    for parameters, passes in ((expectation, True), (logits, False)):
        references = {"expectation": expectation, "parameters": parameters}
        found = compare(near, references, reach_of(DIGITS, expectation), TOLERANCE)
        assert [comparison.passed for comparison in found] == [True, passes]


WIDE = DataSpec(kind="table", shape=(3,), dtype="float32", minimum=-1e30, maximum=1e30)
SEEN = np.array([[0, 1000, 5], [np.nan, 3000, 5], [2, np.nan, 5]], np.float32)


def test_a_table_reaches_as_far_as_its_rows_show_and_no_farther_than_it_may() -> None:
    np.testing.assert_array_equal(reach_of(WIDE, SEEN), [2, 2000, 1])
    narrow = WIDE.model_copy(update={"minimum": 0, "maximum": 1500})
    np.testing.assert_array_equal(reach_of(narrow, SEEN), [2, 1500, 1])
    np.testing.assert_array_equal(reach_of(WIDE, np.full((2, 3), np.nan, np.float32)), [1, 1, 1])
    images = DataSpec(kind="image", shape=(1, 1, 3), dtype="float32", minimum=-1e30, maximum=1e30)
    assert reach_of(images, SEEN.reshape(3, 1, 1, 3)) == 2e30
    assert reach_of(WIDE.model_copy(update={"dtype": "uint8", "minimum": 0, "maximum": 9}), SEEN) == 9


@pytest.mark.parametrize("name", ["expectation", "data"])
def test_every_column_of_a_table_is_held_to_its_own_reach(name: str) -> None:
    reference = np.array([[1, 2e6, 5]], np.float32)
    reach = reach_of(WIDE, SEEN)
    for column, near, far in ((0, 0.0019, 0.0021), (1, 3.9, 4.1), (2, 0.00099, 0.00102)):
        for difference, is_near in ((near, True), (far, False)):
            output = reference.astype(np.float64)
            output[0, column] += difference
            (found,) = compare({name: output.astype(np.float32)}, {name: reference}, reach, TOLERANCE)
            assert (found.passed, found.bound) == (is_near, "1e-03 of a column's reach"), (column, difference)


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
    data, other = compare(outputs, references, 16.0, TOLERANCE)
    assert data.passed is passed
    assert other.passed


def test_another_shape_or_type_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="mean is float32"):
        one("mean", float_rows(1, 2), float_rows(1))
    with pytest.raises(AssertionError, match="mean is float64"):
        one("mean", np.ones(1), float_rows(1))


def test_probes_are_named_by_the_size_of_their_pictures() -> None:
    sizes = PictureSizes(multiple=8, minimum=16, maximum=64, default=PictureSize(32, 64))
    assert [probe_suffix(PictureSize(*size), sizes) for size in ((16, 16), (16, 24))] == ["", "@16x24"]
    assert parse_probe_name("prior.a@b@16x24") == ("prior.a@b", PictureSize(height=16, width=24))
    for name in ("encoder", "encoder@16", "encoder@0x8", "@16x24"):
        assert parse_probe_name(name) == (name, None)


@pytest.mark.parametrize(
    ("code", "mean", "unrounded", "passed"),
    [
        (3, 0.75, 3.0, (True, True, True)),
        (2, 0.5, 2.49, (False, True, False)),  # far from a tie in both
        (3, 0.75, 2.5005, (True, True, True)),
        (2, 0.5, 2.4999, (True, True, True)),  # both near the tie between 2 and 3
        (2, -0.5, 2.4999, (True, False, True)),  # a latent that is not this code's
        (1, 0.25, 2.4999, (False, True, True)),
    ],
)
def test_codes_may_differ_by_one_near_a_rounding_tie(
    code: int, mean: float, unrounded: float, passed: tuple[bool, ...]
) -> None:
    tie = unrounded if abs(unrounded - 2.5) < 1e-3 else 3.0
    references = {"codes": np.array([3], np.uint16), "mean": float_rows(0.75), "unrounded": float_rows(max(tie, 2.5))}
    outputs = {"codes": np.array([code], np.uint16), "mean": float_rows(mean), "unrounded": float_rows(unrounded)}
    found = compare(outputs, references, reach_of(DIGITS, np.empty(0)), Tolerance(absolute=1e-3, relative=0))
    assert tuple(comparison.passed for comparison in found) == passed
