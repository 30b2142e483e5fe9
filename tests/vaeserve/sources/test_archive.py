import pytest

from vaeserve.errors import InvalidInput
from vaeserve.sources.archive import ChosenArrays, RowArray, choose


@pytest.mark.parametrize(
    ("keys", "parts"),
    [
        (["X", "y"], ChosenArrays(RowArray("X", "y"))),
        (["data", "target", "feature_names"], ChosenArrays(RowArray("data", "target"))),
        (["arr_0"], ChosenArrays(RowArray("arr_0", None))),
        (["output", "latent", "seed", "first_row", "fingerprint"], ChosenArrays(RowArray("output", None))),
        (["faces", "labels"], ChosenArrays(RowArray("faces", "labels"))),
        (
            ["train", "valid", "test"],
            ChosenArrays(RowArray("train", None), RowArray("valid", None), RowArray("test", None)),
        ),
        (
            ["x_train", "y_train", "x_test", "y_test"],
            ChosenArrays(RowArray("x_train", "y_train"), None, RowArray("x_test", "y_test")),
        ),
        (
            ["train_images", "val_images", "test_images", "train_labels", "val_labels", "test_labels"],
            ChosenArrays(
                RowArray("train_images", "train_labels"),
                RowArray("val_images", "val_labels"),
                RowArray("test_images", "test_labels"),
            ),
        ),
    ],
)
def test_arrays_are_known_by_the_names_that_are_in_use(keys: list[str], parts: ChosenArrays) -> None:
    assert choose(keys, "f") == parts


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["output", "other"], "f: cannot tell which array holds the rows: call it X, not output or other"),
        (["latent", "fingerprint"], "f: cannot tell which array holds the rows: call it X, not latent or fingerprint"),
        (["a", "b"], "f: cannot tell which array holds the rows: call it X, not a or b"),
        ([], "f: cannot tell which array holds the rows: call it X, not nothing"),
        (["X", "data"], "f: cannot tell which array to take: X or data"),
        (["X", "y", "target"], "f: cannot tell which array to take: y or target"),
    ],
)
def test_what_is_not_clear_is_not_guessed(keys: list[str], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        choose(keys, "f")


def test_what_the_commands_write_is_known_by_their_names() -> None:
    keys = ["output", "latent", "fingerprint"]
    assert choose(keys, "f", "latent") == ChosenArrays(RowArray("latent", None))
