"""What every network must hold to, and what the convolution alone does."""

import pytest
import torch
from torch import Generator, nn

from training.networks import NETWORKS, Sizes, network_of
from vaeserve.errors import TrainingError

SIZES = Sizes((8, 12), blocks=1)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in ("pca-conv", "grid")])
@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 13, 3), (28, 28, 1)])
def test_shapes_and_rows_that_do_not_see_one_another(name: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    encoder, decoder = network_of(name).encoder(shape, 6, SIZES), network_of(name).decoder(3, (*shape[:2], 2), SIZES)
    rows = torch.rand(5, *shape, generator=Generator().manual_seed(0))
    latent = torch.randn(5, 3, generator=Generator().manual_seed(0))
    with torch.inference_mode():
        encoded, decoded = encoder(rows), decoder(latent)
        assert encoded.shape == (5, 6)
        assert decoded.shape == (5, *shape[:2], 2)
        torch.testing.assert_close(encoder(rows[3:4]), encoded[3:4])
        torch.testing.assert_close(decoder(latent[3:4]), decoded[3:4])
        assert not torch.allclose(encoded[0], encoded[1])
        assert not torch.allclose(decoded[0], decoded[1])


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "grid" and "conv" not in name])
def test_a_row_of_a_table(name: str) -> None:
    assert network_of(name).encoder((5,), 6, SIZES)(torch.zeros(2, 5)).shape == (2, 6)
    assert network_of(name).decoder(3, (5,), SIZES)(torch.zeros(2, 3)).shape == (2, 5)


def test_every_pixel_reaches_the_encoder_and_is_reached_by_the_decoder() -> None:
    torch.manual_seed(0)
    sizes = Sizes((4, 4, 4))
    encoder, decoder = (
        network_of("conv").encoder((9, 11, 1), 6, sizes),
        network_of("conv").decoder(3, (9, 11, 1), sizes),
    )
    rows = torch.zeros(1, 9, 11, 1, requires_grad=True)
    encoder(rows).sum().backward()
    assert rows.grad is not None
    assert bool((rows.grad != 0).all())
    assert bool((decoder(torch.ones(1, 3)) != decoder(-torch.ones(1, 3))).all())


def test_residual_branches_begin_as_nothing() -> None:
    from training.networks.conv import Residual

    values = torch.randn(2, 4, 5, 5)
    assert torch.equal(Residual(4)(values), values)


def test_without_blocks_every_level_still_has_an_activation() -> None:
    sizes = Sizes((4, 4, 4), blocks=0)
    pair = network_of("conv").encoder((8, 8, 1), 6, sizes), network_of("conv").decoder(3, (8, 8, 1), sizes)
    encoder, decoder = ([type(module) for module in network.get_submodule("levels").children()] for network in pair)
    assert encoder == [nn.Conv2d, nn.SiLU] * 3
    assert decoder == [nn.SiLU, nn.Conv2d, nn.Upsample] * 3 + [nn.Conv2d, nn.SiLU]


def test_a_table_is_no_picture() -> None:
    with pytest.raises(TrainingError, match="--network: conv is for images, and this data is a table"):
        network_of("conv").encoder((5,), 6, SIZES)


def test_a_picture_can_be_halved_so_often() -> None:
    sizes = Sizes((4,) * 5)
    with pytest.raises(TrainingError, match="--hidden-sizes: 5 levels would halve 8 x 8 pixels to less than one"):
        network_of("conv").decoder(3, (8, 8, 1), sizes)
