import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.split import reorder, split
from vaeserve.errors import TrainingError
from vaeserve.sources.content import Content, images_spec


def content(
    rows: int,
    labels: list[int] | None = None,
    validation_rows: int = 0,
    test_rows: int = 0,
    groups: list[int] | None = None,
) -> Content:
    values = np.zeros((rows, 1, 1, 1), np.uint8)
    found = None if labels is None else np.array(labels, np.int64)
    of_rows = None if groups is None else np.array(groups, np.int64)
    spec = images_spec((1, 1, 1))
    return Content("", spec, "gaussian", values, found, validation_rows, test_rows, groups=of_rows)


def test_a_tenth_is_drawn_for_the_test_and_every_row_has_one_part() -> None:
    parts = split(content(1000), 50, "x")
    assert list(map(len, parts)) == [850, 50, 100]
    assert sorted(parts.order) == list(range(1000))
    assert parts.test.tolist() != list(range(900, 1000))


def test_the_same_rows_are_drawn_every_time() -> None:
    one, other = (split(content(200), 20, "x") for _ in range(2))
    assert one.order.tolist() == other.order.tolist()
    # What is drawn today must be drawn in a year: figures are compared over that time.
    assert one.test[:5].tolist() == [18, 170, 107, 98, 177]
    assert split(content(200), 0, "x").test.tolist() == one.test.tolist()


def test_classes_keep_their_share_of_every_part() -> None:
    labels = [0] * 500 + [1] * 300 + [2] * 200
    for part in split(content(1000, labels), 100, "x"):
        shares = np.bincount(np.array(labels)[part]) / len(part)
        np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=0.005)


@pytest.mark.parametrize("labels", [[0] * 99 + [1], list(range(100))], ids=["one row of a class", "many classes"])
def test_classes_that_cannot_be_shared_out_are_not(labels: list[int]) -> None:
    assert list(map(len, split(content(100, labels), 10, "x"))) == [80, 10, 10]


def test_what_the_source_holds_out_is_left_as_it_is() -> None:
    parts = split(content(100, validation_rows=10, test_rows=20), 0, "x")
    assert [(part[0], part[-1]) for part in parts] == [(0, 69), (70, 79), (80, 99)]
    assert split(content(100, test_rows=20), 5, "x").test.tolist() == list(range(80, 100))
    drawn = split(content(100, validation_rows=10), 0, "x")
    assert list(map(len, drawn)) == [81, 10, 9]
    assert drawn.validation.tolist() == list(range(90, 100))


@pytest.mark.parametrize(
    ("held_out", "validation_rows", "said"),
    [
        ((0, 0), 0, "x: has 39 rows, at least 40 are needed"),
        ((0, 3), 0, "x: has 36 rows to train on and 3 to test on, at least 32 and 4 are needed"),
        ((0, 20), 0, "x: has 19 rows to train on and 20 to test on"),
        ((0, 4), 4, "--validation-rows: at most 3 of x's 35 training rows can be taken, not 4"),
        ((2, 4), 1, "--validation-rows: x itself has 2 rows for that"),
    ],
)
def test_too_few_rows_are_refused(held_out: tuple[int, int], validation_rows: int, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        split(content(39, None, *held_out), validation_rows, "x")


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_rows_are_reordered_in_place(seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    values, order = random.normal(size=(rows, 2)), random.permutation(rows)
    expected = values[order]
    reorder(values, order)
    np.testing.assert_array_equal(values, expected)


@given(st.integers(0, 2**32), st.integers(0, 60))
def test_no_group_is_in_two_parts(seed: int, validation_rows: int) -> None:
    groups = np.random.default_rng(seed).integers(0, 40, 400) ** 2
    parts = split(content(400, groups=groups.tolist()), validation_rows, "x")
    assert sorted(parts.order) == list(range(400))
    held = [set(groups[part].tolist()) for part in parts]
    assert not held[0] & held[1]
    assert not held[0] & held[2]
    assert not held[1] & held[2]
    assert 20 <= len(parts.test) <= 40


def test_the_smallest_group_is_held_out_where_none_fits() -> None:
    parts = split(content(100, groups=[0] * 45 + [1] * 35 + [2] * 20), 0, "x")
    assert parts.test.tolist() == list(range(80, 100))
    with pytest.raises(TrainingError, match="x: has 99 rows to train on and 1 to test on"):
        split(content(100, groups=[0] * 99 + [1]), 0, "x")
    with pytest.raises(TrainingError, match="--validation-rows: leaves 0 rows to train on, because groups stay whole"):
        split(content(100, groups=[0] * 80 + [1] * 20), 40, "x")


def test_rows_of_other_classes_are_test_rows_and_so_are_their_groups() -> None:
    labels = [int(row % 20 == 0) for row in range(200)]
    parts = split(content(200, labels), 30, "x", (0,))
    assert list(map(len, parts)) == [141, 30, 29]
    assert set(np.flatnonzero(labels)) <= set(parts.test.tolist())
    grouped = split(content(200, labels, groups=[row // 10 for row in range(200)]), 30, "x", (0,))
    assert {row // 10 % 2 for row in grouped.train} == {1}
    assert list(map(len, grouped)) == [60, 30, 110]


def test_too_few_rows_of_the_classes_to_train_on_are_refused() -> None:
    labels = [0] * 30 + [1] * 170
    with pytest.raises(TrainingError, match="--train-classes: x: has 27 rows to train on and 173 to test on, at least"):
        split(content(200, labels), 0, "x", (0,))
