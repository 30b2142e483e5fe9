import numpy as np
import pytest

from tests.make_tiny_package import TINY
from tests.training.evaluate.conftest import LATENT, LinearGaussian, affine_prior
from training.evaluate.served import BATCH_ROWS, Served
from vae.errors import TrainingError
from vae.noise import Purpose, RowRange, standard_normals
from vae.package import ModelPackage


def test_a_package_answers_its_probes() -> None:
    package = ModelPackage.open(TINY)
    pair, probes = Served.from_package(package), package.read_probes()
    mean, log_variance = pair.encode(probes["encoder.data"])
    np.testing.assert_allclose(mean, probes["encoder.mean"], atol=1e-5)
    assert log_variance is not None
    np.testing.assert_allclose(log_variance, probes["encoder.log_variance"], atol=1e-5)
    decoded = pair.decode(probes["decoder.latent"])
    np.testing.assert_array_equal(decoded.data, probes["decoder.data"])
    np.testing.assert_allclose(decoded.parameters, probes["decoder.parameters"], atol=1e-5)
    nats = pair.log_likelihood(probes["likelihood.data"], probes["likelihood.parameters"])
    np.testing.assert_allclose(nats, probes["likelihood.log_likelihood"], rtol=1e-5)
    assert nats.dtype == np.float64


def test_a_packages_priors_come_with_it(package: ModelPackage) -> None:
    pair = Served.from_package(package)
    assert pair.priors == ("standard", "mixture")
    drawn = pair.draw_prior("mixture", 0, 5)
    assert drawn.shape == (5, pair.latent_size)
    assert np.abs(drawn - pair.draw_prior("standard", 0, 5)).min() > 0


def test_more_rows_than_a_batch_come_in_order(model: LinearGaussian, served: Served) -> None:
    rows = model.draw(2 * BATCH_ROWS + 3, 0)
    latent = served.encode(rows).mean
    assert latent.shape == (len(rows), LATENT)
    np.testing.assert_allclose(served.expectation(latent), latent @ model.weights, atol=1e-5)
    np.testing.assert_array_equal(served.expectation(latent), served.decode(latent).expectation)
    np.testing.assert_array_equal(
        served.score(rows, latent), served.log_likelihood(rows, served.decode(latent).parameters)
    )


def test_no_rows_are_answered_by_none(served: Served) -> None:
    assert served.encode(np.zeros((0, 6), np.float32)).mean.shape == (0, LATENT)
    assert served.score(np.zeros((0, 6), np.float32), np.zeros((0, LATENT), np.float32)).shape == (0,)


def test_the_standard_prior_is_the_servers_noise(served: Served) -> None:
    noise = standard_normals(Purpose.PRIOR, [RowRange(7, 0, 5)], LATENT)
    np.testing.assert_array_equal(served.draw_prior("standard", seed=7, count=5), noise)


def test_a_prior_graph_takes_noise_and_temperature(model: LinearGaussian) -> None:
    pair = model.served(priors={"shifted": affine_prior(2.0, 3.0)})
    assert pair.priors == ("standard", "shifted")
    noise = standard_normals(Purpose.PRIOR, [RowRange(1, 0, 300)], LATENT)
    np.testing.assert_allclose(pair.draw_prior("shifted", 1, 300), 3 + 2 * noise, rtol=1e-6)


def test_an_unknown_prior_is_refused_by_name(served: Served) -> None:
    with pytest.raises(TrainingError, match=r"'gmm'.*known are standard"):
        served.draw_prior("gmm", 0, 1)


def test_a_graph_that_fails_is_named(served: Served) -> None:
    with pytest.raises(TrainingError, match=r"^encoder: ONNX Runtime cannot run it on 2 rows: "):
        served.encode(np.zeros((2, 5), np.float32))
