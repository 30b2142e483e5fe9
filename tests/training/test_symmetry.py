"""Whether mirrored pictures look like the others."""

import torch
from torch import Generator, Tensor

from training.data import load_dataset
from training.settings.source import Source
from training.symmetry import looks_symmetric, mirrored, with_mirrored


def blobs(rows: int, *, left_alone: bool) -> Tensor:
    """Returns pictures [rows, 12, 12, 1] of a spot at a random place, or at one on the left."""
    generator = Generator().manual_seed(0)
    column = 2 + 7 * torch.rand(rows, 1, 1, generator=generator) * (0.4 if left_alone else 1.0)
    row = 2 + 7 * torch.rand(rows, 1, 1, generator=generator)
    down, across = torch.arange(12).reshape(1, 12, 1), torch.arange(12).reshape(1, 1, 12)
    values = 200 * torch.exp(-((down - row) ** 2 + (across - column) ** 2) / 6)
    return (values + 20 * torch.rand(rows, 12, 12, generator=generator)).to(torch.uint8)[..., None]


def test_mirroring_turns_left_and_right_alone() -> None:
    rows = torch.arange(12).reshape(1, 2, 3, 2)
    assert mirrored(rows)[0, 0].tolist() == [[4, 5], [2, 3], [0, 1]]
    assert torch.equal(mirrored(mirrored(rows)), rows)
    assert len(with_mirrored(rows, mirrors=True)) == 2
    assert with_mirrored(rows, mirrors=False) is rows


def test_pictures_that_are_as_likely_either_way_round_are_told_from_others() -> None:
    assert looks_symmetric(blobs(400, left_alone=False))
    assert not looks_symmetric(blobs(400, left_alone=True))
    assert not looks_symmetric(load_dataset(Source()).train.unsqueeze(-1).reshape(-1, 8, 8, 1))


def test_large_pictures_are_looked_at_with_fewer_pixels() -> None:
    for left_alone in (False, True):
        small = blobs(200, left_alone=left_alone)
        large = small.repeat_interleave(16, 1).repeat_interleave(16, 2)
        assert looks_symmetric(large) is (not left_alone)


def test_of_few_pictures_nothing_is_said() -> None:
    assert not looks_symmetric(blobs(40, left_alone=False))
