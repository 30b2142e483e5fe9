import pytest

from vaeserve.errors import TrainingError
from vaeserve.sources.archive import Part, Parts, choose


@pytest.mark.parametrize(
    ("keys", "parts"),
    [
        (["X", "y"], Parts(Part("X", "y"))),
        (["data", "target", "feature_names"], Parts(Part("data", "target"))),
        (["arr_0"], Parts(Part("arr_0", None))),
        (["faces", "labels"], Parts(Part("faces", "labels"))),
        (["train", "valid", "test"], Parts(Part("train", None), Part("valid", None), Part("test", None))),
        (
            ["x_train", "y_train", "x_test", "y_test"],
            Parts(Part("x_train", "y_train"), None, Part("x_test", "y_test")),
        ),
        (
            ["train_images", "val_images", "test_images", "train_labels", "val_labels", "test_labels"],
            Parts(
                Part("train_images", "train_labels"),
                Part("val_images", "val_labels"),
                Part("test_images", "test_labels"),
            ),
        ),
    ],
)
def test_arrays_are_known_by_the_names_that_are_in_use(keys: list[str], parts: Parts) -> None:
    assert choose(keys, "f") == parts


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["a", "b"], "f: cannot tell which array holds the rows: call it X, not a or b"),
        ([], "f: cannot tell which array holds the rows: call it X, not nothing"),
        (["X", "data"], "f: cannot tell which array to take: X or data"),
        (["X", "y", "target"], "f: cannot tell which array to take: y or target"),
    ],
)
def test_what_is_not_clear_is_not_guessed(keys: list[str], said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        choose(keys, "f")
