import pytest
import torch
from torch import Generator, Tensor
from torch.nn import functional

from training.networks.pyramid import guessed, halved, linear_pyramid


@pytest.fixture(scope="module")
def image() -> Tensor:
    """Smooth pictures, whose colours move together."""
    white = torch.randn(60, 1, 26, 26, generator=Generator().manual_seed(0))
    own = torch.randn(60, 3, 16, 16, generator=Generator().manual_seed(1))
    return 0.5 + functional.avg_pool2d(functional.avg_pool2d(white, 7, 1), 5, 1) + 0.005 * own


def test_details_follow_from_the_means_around_them(image: Tensor) -> None:
    guess, missed = guessed(image - image.mean())
    details = functional.pixel_unshuffle(image, 2) - halved(image).repeat_interleave(4, 1) / 2
    assert guess.shape == (12, 3, 3, 3)
    assert float(missed.trace()) < 0.4 * float(details.square().sum(1).mean())


def test_a_guess_keeps_the_mean_of_its_place(image: Tensor) -> None:
    guess, _ = guessed(image)
    low = halved(image)
    torch.testing.assert_close(halved(functional.pixel_shuffle(functional.conv2d(low, guess, padding=1), 2)), low)


def test_the_noise_of_the_finest_level_is_white_where_the_likelihood_can_have_it(image: Tensor) -> None:
    fitted = linear_pyramid(image, 2, lambda covariance: covariance)
    assert float(fitted.levels[0].variances.sum() / 9) == pytest.approx(1, rel=1e-3)
    assert float(fitted.levels[1].variances[0]) > 30
    for _, components, variances in fitted.levels:
        torch.testing.assert_close(components @ components.T, torch.eye(12), atol=1e-5, rtol=0)
        assert bool((variances.diff() <= 0).all())
    *_, last, mean = fitted.levels[0].variances[:10].tolist()
    assert last > 1e-3 > mean  # the mean is not a detail


def test_the_coarsest_level_guesses_nothing(image: Tensor) -> None:
    assert not linear_pyramid(image, 3, lambda covariance: covariance).levels[2].guess.any()
