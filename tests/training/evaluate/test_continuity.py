import numpy as np
import pytest

from tests.training.evaluate.conftest import LATENT, LinearGaussian, codes, linear_encoder, pair, tearing_decoder
from training.evaluate.continuity import STEP, Scale, cycle, directions, largest_step, lipschitz
from training.evaluate.figures import Smoothness
from training.evaluate.rows import Array32
from training.evaluate.served import ServedPair
from vaeserve.package.data_spec import DataSpec


@pytest.fixture
def latents(served: ServedPair) -> Array32:
    return served.draw_prior("standard", 0, 400)


@pytest.fixture
def scale(model: LinearGaussian, served: ServedPair) -> Scale:
    return Scale(served, model.draw(500, 0))


def torn(model: LinearGaussian, jump: float) -> ServedPair:
    encoder = linear_encoder(model.weights.T.copy(), np.zeros(LATENT, np.float32), None)
    return pair(encoder, tearing_decoder(model.weights, jump), "none")


def test_a_linear_decoder_is_equally_steep_everywhere(served: ServedPair, latents: Array32, scale: Scale) -> None:
    found = lipschitz(served, latents, scale)
    assert found.tear_index == pytest.approx(1, abs=1e-3)
    spread = served.expectation(directions(LATENT))
    assert found.median == pytest.approx(np.sqrt((scale.flat(spread) ** 2).sum(1).mean()), rel=1e-3)


def test_a_decoder_with_a_jump_has_a_tear(model: LinearGaussian, latents: Array32, scale: Scale) -> None:
    small, large = (lipschitz(torn(model, jump), latents, scale).tear_index for jump in (1.0, 10.0))
    assert small is not None
    assert large is not None
    assert large > small > 3


def test_a_decoder_that_answers_alike_has_no_index(model: LinearGaussian, latents: Array32, scale: Scale) -> None:
    dead = codes(np.zeros_like(model.weights))
    assert lipschitz(dead, latents, scale) == Smoothness(median=0, p99=0, tear_index=None)
    assert largest_step(dead, latents[:5], latents[5:10], scale) is None


def test_directions_are_orthonormal_and_fixed() -> None:
    found = directions(40)
    np.testing.assert_allclose(found @ found.T, np.eye(8), atol=1e-6)
    np.testing.assert_array_equal(found, directions(40))
    assert directions(3).shape == (3, 3)


def test_interpolations_of_a_linear_decoder_take_equal_steps(
    model: LinearGaussian, served: ServedPair, latents: Array32, scale: Scale
) -> None:
    assert largest_step(served, latents[:50], latents[50:100], scale) == pytest.approx(1, abs=1e-3)
    jumping = largest_step(torn(model, 30.0), -abs(latents[:50]), abs(latents[50:100]), scale)
    assert jumping is not None
    assert jumping > 4


def test_a_cycle_of_an_inverse_comes_back(model: LinearGaussian, latents: Array32) -> None:
    found = cycle(codes(model.weights), latents)
    assert found.distance < 1e-5
    assert found.deviations is None


def test_a_cycle_is_counted_in_the_posteriors_deviations(model: LinearGaussian, latents: Array32) -> None:
    exact, off = (cycle(model.served(shift=shift), latents) for shift in (0.0, 1.0))
    deviation = np.sqrt((1 / np.diag(model.posterior_covariance)).mean())
    assert exact.deviations is not None
    assert exact.deviations < 0.5
    assert off.deviations == pytest.approx(deviation, rel=0.1)


def test_an_image_is_measured_by_its_range_and_a_table_by_its_columns(model: LinearGaussian) -> None:
    train = model.draw(1000, 0)
    train[:, 2] = 5
    pixels = codes(model.weights)
    units = Scale(pixels, train).flat(train)
    np.testing.assert_allclose(np.delete(units.std(0), 2), 1)
    np.testing.assert_array_equal(units[:, 2], 5)
    pixels.data = DataSpec(kind="image", shape=(2, 3, 1), dtype="uint8", minimum=0, maximum=16)
    assert Scale(pixels, np.zeros((1, 6), np.uint8)).flat(np.full((1, 6), 8, np.uint8)).tolist() == [[0.5] * 6]
    assert STEP < 1
