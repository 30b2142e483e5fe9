import pytest
import torch
from torch import Generator
from torch.nn import functional

from training.likelihoods.bernoulli import Bernoulli
from training.scaling import scaling_of
from vaeserve.errors import TrainingError
from vaeserve.package.data_spec import DataSpec

GREY = DataSpec(kind="image", shape=(2, 2, 1), dtype="uint8", minimum=0, maximum=255)


def bernoulli() -> Bernoulli:
    return Bernoulli(GREY, scaling_of(GREY, torch.zeros(1), "bernoulli"))


def test_log_likelihoods_are_torchs_and_sums() -> None:
    data = torch.tensor([[0, 255, 255, 0]], dtype=torch.uint8).reshape(1, 2, 2, 1)
    logits = torch.tensor([[-3.0, 40.0, 0.5, 2.0]]).reshape(1, 2, 2, 1)
    expected = -functional.binary_cross_entropy_with_logits(logits, (data == 255).float(), reduction="sum")
    torch.testing.assert_close(bernoulli()(data, logits)[0], expected)


def test_a_grey_value_counts_as_the_mean_over_rows_drawn_from_it() -> None:
    grey = torch.full((1, 2, 2, 1), 51, dtype=torch.uint8)  # a fifth
    logits = torch.randn(1, 2, 2, 1, generator=Generator().manual_seed(0))
    on, off = torch.full_like(grey, 255), torch.zeros_like(grey)
    expected = 0.2 * bernoulli()(on, logits) + 0.8 * bernoulli()(off, logits)
    torch.testing.assert_close(bernoulli()(grey, logits), expected)


def test_the_expectation_is_in_grey_levels() -> None:
    assert set(bernoulli().expectation(torch.zeros(1, 2, 2, 1)).flatten().tolist()) == {127.5}


def test_initial_parameters_give_the_mean_row_within_bounds() -> None:
    train = torch.tensor([[0, 255, 51, 102]], dtype=torch.uint8).reshape(1, 2, 2, 1).repeat(9, 1, 1, 1)
    probabilities = torch.sigmoid(bernoulli().initial_parameters(train)).flatten()
    assert probabilities.tolist() == pytest.approx([0.001, 0.999, 0.2, 0.4], abs=1e-5)


def test_noise_switches_off_and_keeps_the_mean() -> None:
    data = torch.full((4000, 2, 2, 1), 255, dtype=torch.uint8)
    noisy = bernoulli().noisy(data, 0.25, Generator().manual_seed(0))
    assert set(noisy.flatten().tolist()) == {0, 340}
    assert float(noisy.mean()) == pytest.approx(255, rel=0.02)


def test_a_table_is_refused() -> None:
    table = DataSpec(kind="table", shape=(2,), dtype="float32", minimum=-9, maximum=9)
    with pytest.raises(TrainingError, match="--likelihood: bernoulli is for images that begin at 0; this data is"):
        Bernoulli(table, scaling_of(table, torch.randn(5, 2), "bernoulli"))
