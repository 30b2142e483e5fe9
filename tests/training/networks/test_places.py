import pytest

from training.networks import Sizes
from training.networks.places import Grid
from vaeserve.errors import TrainingError


def test_latents_are_dealt_from_the_coarsest_level_on() -> None:
    sizes = Sizes((32, 48, 64), channels=3)
    grid = Grid.of((32, 32, 3), sizes._replace(latent=960))
    assert grid.levels == [(16, 16), (8, 8), (4, 4)]
    assert grid.latents == [0, 12, 12]
    assert grid.first == 1
    assert Grid.of((32, 32, 3), sizes._replace(latent=960 + 512)).latents == [2, 12, 12]
    assert Grid.of((32, 32, 3), sizes._replace(latent=32)).latents == [0, 0, 2]


def test_levels_divide_what_is_padded() -> None:
    grid = Grid.of((28, 29, 1), Sizes((8, 8, 8), channels=1, latent=64))
    assert grid.levels == [(16, 16), (8, 8), (4, 4)]
    assert grid.padding((28, 29, 1)) == (0, 3, 0, 4)
    assert grid.values == [0, 0, 64]


@pytest.mark.parametrize(("latent", "nearest"), [(970, 960), (5, 16)])
def test_latents_that_do_not_fill_the_places_are_refused(latent: int, nearest: int) -> None:
    with pytest.raises(TrainingError, match=f"--latent-size: {latent} values do not fill .* places, {nearest} do"):
        Grid.of((32, 32, 3), Sizes((32, 48, 64), channels=3, latent=latent))
