import pytest
import torch

from training.step.collected import Collected


@pytest.mark.parametrize("axis", [0, 1])
def test_parts_are_joined_as_cat_joins_them(axis: int) -> None:
    parts = torch.split(torch.randn(6, 6), [3, 2, 1], axis)
    collected = Collected(6, axis)
    for part in parts:
        collected.add(part)
    assert torch.equal(collected.whole, torch.cat(parts, axis))
    assert collected.whole.is_contiguous()


def test_a_part_that_is_missing_is_a_bug() -> None:
    collected = Collected(3)
    collected.add(torch.zeros(2))
    with pytest.raises(AssertionError, match=r"^2 of 3 were collected"):
        _ = collected.whole
