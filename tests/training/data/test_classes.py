import numpy as np
import pytest

from training.data.classes import leave_out_others, numbers_of
from vaeserve.errors import TrainingError
from vaeserve.sources.content import Content, images_spec, table_spec

CONTENT = Content(
    "",
    images_spec((1, 1, 1)),
    "gaussian",
    np.arange(12, dtype=np.uint8).reshape(12, 1, 1, 1),
    labels=np.array([2, 5, 7] * 4),
)


def test_classes_go_by_their_numbers_or_names() -> None:
    assert numbers_of(CONTENT, (), "x") == ()
    assert numbers_of(CONTENT, ("7", "2"), "x") == (2, 7)
    named = CONTENT._replace(labels=np.array([0, 1, 2] * 4), classes=("cat", "dog", "owl"))
    assert numbers_of(named, ("owl",), "x") == (2,)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("1",), "--train-classes: x has no class '1'; its classes are 2, 5, 7"),
        (("5", "2", "7"), "--train-classes: names every class of x, so that no row is an anomaly"),
    ],
)
def test_a_class_that_does_not_exist_and_all_classes_are_refused(names: tuple[str, ...], said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        numbers_of(CONTENT, names, "x")


def test_what_is_near_is_proposed_and_data_without_classes_refused() -> None:
    named = CONTENT._replace(labels=np.array([0, 1] * 6), classes=("normal", "faulty"))
    with pytest.raises(TrainingError, match=r"has no class 'Normal'; did you mean 'normal'\?"):
        numbers_of(named, ("Normal",), "x")
    with pytest.raises(TrainingError, match=r"--train-classes: x has no classes$"):
        numbers_of(CONTENT._replace(labels=None), ("a",), "x")
    table = CONTENT._replace(labels=None, spec=table_spec(("a",), 1.0), columns=("a",))
    with pytest.raises(TrainingError, match="--train-classes: x has no classes: name their column by --target"):
        numbers_of(table, ("a",), "x")


def test_a_source_that_is_split_itself_keeps_its_test_rows() -> None:
    found = leave_out_others(CONTENT._replace(validation_rows=3, test_rows=3), (5,), "x")
    assert found.values.ravel().tolist() == [1, 4, 7, 9, 10, 11]
    assert (found.validation_rows, found.test_rows) == (1, 3)
    assert found.notes == ("x: 6 rows to train on of other classes are left out",)
    assert leave_out_others(CONTENT, (5,), "x") is CONTENT
