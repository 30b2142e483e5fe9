import numpy as np
import pytest

from vae.posterior import kl_by_dimension, reparameterize


def test_draws_are_made_in_float64() -> None:
    random = np.random.default_rng(0)
    mean, log_variance, noise = random.normal(size=(3, 100, 4)).astype(np.float32)
    latent = reparameterize(mean, log_variance, noise)
    wide = mean + np.sqrt(np.exp(log_variance.astype(np.float64))) * noise
    assert latent.dtype == np.float32
    np.testing.assert_array_max_ulp(latent, wide.astype(np.float32), 1)


def test_noise_of_0_is_the_mean() -> None:
    mean = np.array([[1.5, -2], [0, 1e30]], np.float32)
    np.testing.assert_array_equal(reparameterize(mean, np.full_like(mean, 3), np.zeros_like(mean)), mean)


def test_the_kl_by_hand() -> None:
    mean, variance = np.array([[0, 2, 0]], np.float32), np.array([[1, 1, 4]])
    kl = kl_by_dimension(mean, np.log(variance).astype(np.float32))
    assert kl.dtype == np.float64
    np.testing.assert_allclose(kl, [[0, 2, 0.5 * (4 - 1 - np.log(4))]], atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 3), (2, 4, 4, 1), (0, 3)])
def test_latents_have_any_shape(shape: tuple[int, ...]) -> None:
    zeros = np.zeros(shape, np.float32)
    assert kl_by_dimension(zeros, zeros).shape == reparameterize(zeros, zeros, zeros).shape == shape


def test_what_no_number_holds_is_infinite() -> None:
    large, one = np.array([[3000]], np.float32), np.array([[1]], np.float32)
    assert kl_by_dimension(one, large) == np.inf
    assert reparameterize(one, large, -one) == -np.inf
    assert reparameterize(one, np.array([[200]], np.float32), one) == np.inf  # in float64 it is a number
    assert kl_by_dimension(one, -large) == 0.5 * 3000
