import numpy as np
import pytest
import torch

from training.data.binary import draw_binary, draw_once


@pytest.mark.parametrize("maximum", [1, 16, 255])
def test_each_value_is_drawn_with_its_own_probability(maximum: int) -> None:
    rows = torch.arange(maximum + 1, dtype=torch.uint8).expand(10_000, maximum + 1)
    drawn = draw_binary(rows, maximum, torch.Generator().manual_seed(0))
    assert drawn.dtype == torch.uint8
    assert set(drawn.flatten().tolist()) == {0, maximum}
    shares = (drawn.double() / maximum).mean(0)
    torch.testing.assert_close(shares, torch.linspace(0, 1, maximum + 1).double(), atol=0.03, rtol=0)
    assert shares[[0, -1]].tolist() == [0, 1]  # certain values are never drawn otherwise
    once = draw_once(rows.numpy(), maximum, 0)
    assert once.dtype == np.uint8
    np.testing.assert_allclose((once / maximum).mean(0), shares, atol=0.03)
    assert (once[:, 0].max(), once[:, -1].min()) == (0, maximum)


def test_steps_differ_and_a_generator_in_the_same_state_draws_the_same() -> None:
    rows = torch.full((4, 3, 3, 1), 100, dtype=torch.uint8)
    generator = torch.Generator().manual_seed(5)
    first, second = draw_binary(rows, 255, generator), draw_binary(rows, 255, generator)
    assert not torch.equal(first, second)
    assert torch.equal(draw_binary(rows, 255, torch.Generator().manual_seed(5)), first)


def test_what_is_drawn_once_is_drawn_for_ever() -> None:
    rows = np.full((2, 8), 128, np.uint8)
    assert (draw_once(rows, 255, 777) // 255).tolist() == [[1, 1, 1, 1, 0, 0, 0, 0], [1, 0, 1, 1, 0, 1, 0, 0]]
