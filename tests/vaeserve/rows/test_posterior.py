import math
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from vaeserve.rows.noise import Purpose, RowRange, standard_normals
from vaeserve.rows.posterior import kl_by_dimension, reparameterize


def test_draws_are_made_in_float64() -> None:
    random = np.random.default_rng(0)
    mean, log_variance, noise = random.normal(size=(3, 100, 4)).astype(np.float32)
    latent = reparameterize(mean, log_variance, noise)
    wide = mean + np.sqrt(np.exp(log_variance.astype(np.float64))) * noise
    assert latent.dtype == np.float32
    np.testing.assert_array_max_ulp(latent, wide.astype(np.float32), 1)


PAGE = (Path(__file__).parents[3] / "docs" / "noise.md").read_text("utf-8")


def test_draws_are_what_the_page_on_noise_says_bit_for_bit() -> None:
    section = PAGE.split("## 4. Latents")[1].split("## Golden")[0]
    rows = re.findall(r"^\| (\w{8}) \| (\w{8}) \| (\w{8}) \| (\w{8}) \|$", section, re.MULTILINE)
    mean, log_variance, noise, latent = (
        np.array([int(digits, 16) for digits in column], np.uint32).view(np.float32)
        for column in zip(*rows, strict=True)
    )
    assert noise.tobytes() == standard_normals(Purpose.POSTERIOR, [RowRange(7, 0, 1)], 5).tobytes()
    assert reparameterize(mean, log_variance, noise).tobytes() == latent.tobytes()
    by_hand = [
        struct.pack("<f", m + math.exp(0.5 * v) * n)
        for m, v, n in zip(mean.tolist(), log_variance.tolist(), noise.tolist(), strict=True)
    ]
    assert b"".join(by_hand) == latent.tobytes()


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
