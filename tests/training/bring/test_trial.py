import numpy as np
import numpy.typing as npt
import pytest
import torch

from training.bring.spec import Spec, parse_spec
from training.bring.trial import trial_rows
from vaeserve.errors import TrainingError

COUNTS = parse_spec(
    {"name": "c", "kind": "image", "shape": [2, 2, 1], "latent_shape": 2, "minimum": 2.0, "maximum": 9.0}, "spec"
)
TABLE = parse_spec(
    {"name": "t", "kind": "table", "shape": 3, "latent_shape": 2, "minimum": -1.0, "maximum": 1.0}, "spec"
)


@pytest.mark.parametrize(("spec", "dtype"), [(COUNTS, torch.uint8), (TABLE, torch.float32)])
def test_random_rows_lie_in_the_range(spec: Spec, dtype: torch.dtype) -> None:
    rows = trial_rows(None, spec)
    assert (rows.dtype, rows.shape[1:]) == (dtype, spec.shape)
    assert float(rows.min()) >= spec.data.minimum
    assert float(rows.max()) <= spec.data.maximum
    assert len(np.unique(rows.numpy(), axis=0)) > 30
    assert torch.equal(rows, trial_rows(None, spec))


def test_given_rows_are_taken_from_the_first() -> None:
    rows = np.random.default_rng(0).uniform(-1, 1, (100, 3))
    np.testing.assert_array_equal(trial_rows(rows, TABLE).numpy(), rows[:40].astype(np.float32))


@pytest.mark.parametrize(
    ("rows", "spec", "complaint"),
    [
        (np.zeros((5, 2)), TABLE, "are of shape [2], and the spec says [3]"),
        (np.zeros((0, 3)), TABLE, "there are none"),
        (np.float32(1), TABLE, "there are none"),
        (np.array([["a", "b", "c"]]), TABLE, "are <U1, and the spec says float32"),
        (np.array([[0, 0, 0], [0, np.nan, 0]]), TABLE, "row 1 holds a value that is not within [-1, 1]"),
        (np.array([[0, 0, 0], [0, 0, -1.5]]), TABLE, "row 1 holds a value that is not within [-1, 1]"),
        (np.full((1, 2, 2, 1), 3.0), COUNTS, "are float64, and the spec says uint8"),
        (np.full((1, 2, 2, 1), 300), COUNTS, "row 0 holds a value that is not within [2, 9]"),
    ],
)
def test_rows_that_do_not_fit(rows: np.ndarray, spec: Spec, complaint: str) -> None:
    with pytest.raises(TrainingError) as raised:
        trial_rows(rows, spec)
    assert str(raised.value) == f"rows: {complaint}"


@pytest.mark.parametrize("rows", [torch.zeros(5, 3, requires_grad=True), [[0.0, 0.0, 0.0], [0.0]]])
def test_what_is_no_array(rows: npt.ArrayLike) -> None:
    with pytest.raises(TrainingError, match=r"^rows: are not an array: [^\n]+$"):
        trial_rows(rows, TABLE)
