"""What callers hold, of the libraries that they use: read right, or refused in one line."""

from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pytest
import torch

from vaeserve.client.caller_rows import as_frame, as_rows
from vaeserve.client.parts import as_data
from vaeserve.errors import InvalidInput

LATENT = [[0.5, -1.25, 3.0], [1.0, 2.0, -0.75]]  # what bfloat16 holds exactly


@pytest.mark.parametrize(
    "values",
    [
        torch.tensor(LATENT, requires_grad=True),
        torch.tensor(LATENT, dtype=torch.bfloat16),
        torch.tensor(LATENT, dtype=torch.bfloat16, requires_grad=True),
        torch.tensor(LATENT, dtype=torch.float16),
        torch.tensor(LATENT).T.contiguous().T,
        list(torch.tensor(LATENT, requires_grad=True)),
        tuple(torch.tensor(LATENT, dtype=torch.bfloat16)),
        np.array(LATENT, ml_dtypes.bfloat16),
        np.ma.masked_array(LATENT, mask=False),
        memoryview(np.array(LATENT)),  # type: ignore[arg-type]
        pa.table({"x": [0.5, 1.0], "y": [-1.25, 2.0], "z": [3.0, -0.75]}),
    ],
    ids=lambda values: type(values).__name__,
)
def test_numbers_of_any_kind_are_the_same_numbers(values: Any) -> None:  # noqa: ANN401
    rows = as_rows(values, "latent")
    assert type(rows) is np.ndarray
    assert rows.dtype.kind == "f"
    assert rows.tolist() == LATENT


def test_what_is_masked_is_missing_or_refused() -> None:
    mask = [[False, True, False], [False, False, False]]
    rows = as_rows(np.ma.masked_array(LATENT, mask), "data")
    assert np.isnan(rows).tolist() == mask
    listed = as_rows([np.ma.masked_array(row, lacks) for row, lacks in zip(LATENT, mask, strict=True)], "data")
    assert np.isnan(listed).tolist() == mask
    with pytest.raises(InvalidInput, match="has masked values; int64 rows cannot have missing values"):
        as_rows(np.ma.masked_array([[1, 2]], [[True, False]]), "data")


class _Broken:
    def __array__(self, *_: object, **__: object) -> None:
        raise RuntimeError("it broke\nfor many reasons")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (torch.zeros(2, 3).to_sparse(), "is not an array: can't convert Sparse layout tensor"),
        (torch.zeros(2, 3, device="meta"), "is not an array: Cannot copy out of meta tensor"),
        (torch.zeros(2, 3, dtype=torch.complex64), "holds complex64"),
        (_Broken(), "is not an array: it broke$"),
        (None, "is NoneType, must be an array of rows"),
        ((row for row in LATENT), "is generator, must be an array of rows"),
        ({"x": 1}, "is dict, must be an array of rows"),
        (np.zeros((1, 3), "M8[s]"), "holds datetime64"),
        (pa.table({"x": [1.0], "s": ["one"]}), "holds object, must hold numbers"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_holds_no_numbers_is_refused_in_one_line(values: Any, said: str) -> None:  # noqa: ANN401
    with pytest.raises(InvalidInput, match=said) as refused:
        as_rows(values, "latent")
    assert "\n" not in str(refused.value)
    assert refused.value.field.startswith("latent")


def test_a_frames_columns_go_by_their_names() -> None:
    frame = as_data(pa.table({"age": [3, None], "note": ["a", "b"], "size": [0.5, 1.5]}), "data")
    assert not isinstance(frame, list | np.ndarray)
    assert len(frame) == 2
    np.testing.assert_array_equal(frame.rows(("size", "age")), [[0.5, 3], [1.5, np.nan]])
    with pytest.raises(
        InvalidInput, match="data: has no column 'weight', which the model takes; it has 'age', 'note', 'size'"
    ):
        frame.rows(("size", "weight"))
    with pytest.raises(InvalidInput, match=r"data\['note'\]: holds object, must hold numbers"):
        frame.rows(("note",))


class _Pandas:
    """As much of a pandas frame as is looked at; its labels may be numbers, and repeat."""

    def __init__(self, columns: list[object]) -> None:
        self.columns = columns

    def __getitem__(self, name: object) -> np.ndarray[Any, Any]:
        return np.full(2, self.columns.index(name))

    def __array__(self, *_: object, **__: object) -> np.ndarray[Any, Any]:
        return np.array(LATENT)


def test_numbered_columns_are_an_array_and_repeated_names_are_refused() -> None:
    assert as_frame(_Pandas([0, 1, 2]), "data") is None
    assert as_rows(_Pandas([0, 1, 2]), "data").tolist() == LATENT
    frame = as_frame(_Pandas(["a", "b", "a"]), "data")
    assert frame is not None
    assert frame.rows(("b",)).tolist() == [[1], [1]]
    with pytest.raises(InvalidInput, match="data: has 2 columns 'a'"):
        frame.rows(("a",))
