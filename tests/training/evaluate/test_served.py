from collections.abc import Sequence

import numpy as np
import pytest
from onnxruntime import InferenceSession
from scipy.stats import norm

from tests.support.make_tiny_package import TINY
from tests.training.evaluate.conftest import LATENT, LinearGaussian, affine_prior
from training.evaluate import continuity
from training.evaluate import served as served_module
from training.evaluate.served import BATCH_ROWS, ServedPair
from training.export import onnx_runner
from training.export.probes import TensorArrays
from vaeserve.errors import OutOfMemory, TrainingError
from vaeserve.package.directory import ModelPackage
from vaeserve.rows.noise import Purpose, RowRange, standard_normals
from vaeserve.slices import SLICE_BYTES


def test_a_package_answers_its_probes() -> None:
    package = ModelPackage.open(TINY)
    pair, probes = ServedPair.from_package(package), package.read_probes()
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
    pair = ServedPair.from_package(package)
    assert pair.priors == ("standard", "mixture")
    drawn = pair.draw_prior("mixture", 0, 5)
    assert drawn.shape == (5, pair.latent_size)
    assert np.abs(drawn - pair.draw_prior("standard", 0, 5)).min() > 0


def test_more_rows_than_a_batch_come_in_order(model: LinearGaussian, served: ServedPair) -> None:
    rows = model.draw(2 * BATCH_ROWS + 3, 0)
    latent = served.encode(rows).mean
    assert latent.shape == (len(rows), LATENT)
    np.testing.assert_allclose(served.expectation(latent), latent @ model.weights, atol=1e-5)
    np.testing.assert_array_equal(served.expectation(latent), served.decode(latent).expectation)
    np.testing.assert_array_equal(
        served.score(rows, latent), served.log_likelihood(rows, served.decode(latent).parameters)
    )


def test_rows_at_once_follow_from_what_a_row_takes(model: LinearGaussian, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = model.draw(BATCH_ROWS, 0)
    whole = model.served()
    latent = whole.encode(rows).mean
    monkeypatch.setattr(served_module, "row_bytes", lambda content: SLICE_BYTES // 10)
    sizes: list[int] = []
    run = onnx_runner.run

    def noted(session: InferenceSession, inputs: TensorArrays, names: Sequence[str]) -> list[np.ndarray]:
        sizes.append(len(next(iter(inputs.values()))))
        if sizes[-1] > 7:
            raise OutOfMemory("8 rows took more memory than there is")
        return run(session, inputs, names)

    monkeypatch.setattr(onnx_runner, "run", noted)
    pair = model.served()
    np.testing.assert_allclose(pair.encode(rows).mean, latent, rtol=1e-6)
    assert sizes[:3] == [10, 5, 5]
    scores = pair.score(rows, latent)
    assert max(sizes) == 10
    monkeypatch.setattr(onnx_runner, "run", run)
    np.testing.assert_allclose(scores, whole.score(rows, latent), rtol=1e-6)


def test_figures_do_not_depend_on_how_many_rows_are_looked_at_at_once(
    model: LinearGaussian, served: ServedPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = model.draw(50, 0)
    latents, scale = served.encode(rows).mean, continuity.Scale(served, rows)

    def figures() -> list[float | None]:
        smoothness = continuity.lipschitz(served, latents, scale)
        step = continuity.largest_step(served, latents[:25], latents[25:], scale)
        return [smoothness.median, smoothness.p99, step, *continuity.cycle(served, latents)]

    at_once = figures()
    monkeypatch.setattr(ServedPair, "parts", lambda self, rows, copies=1: onnx_runner.batches(rows, 7))
    assert figures() == pytest.approx(at_once, rel=1e-5)


def test_no_rows_are_answered_by_none(served: ServedPair) -> None:
    assert served.encode(np.zeros((0, 6), np.float32)).mean.shape == (0, LATENT)
    assert served.score(np.zeros((0, 6), np.float32), np.zeros((0, LATENT), np.float32)).shape == (0,)


def test_the_standard_prior_is_the_servers_noise(served: ServedPair) -> None:
    noise = standard_normals(Purpose.PRIOR, [RowRange(7, 0, 5)], LATENT)
    np.testing.assert_array_equal(served.draw_prior("standard", seed=7, count=5), noise)


def test_a_prior_graph_takes_noise_and_temperature(model: LinearGaussian) -> None:
    pair = model.served(priors={"shifted": affine_prior(2.0, 3.0)})
    assert pair.priors == ("standard", "shifted")
    noise = standard_normals(Purpose.PRIOR, [RowRange(1, 0, 300)], LATENT)
    np.testing.assert_allclose(pair.draw_prior("shifted", 1, 300), 3 + 2 * noise, rtol=1e-6)


def test_an_unknown_prior_is_refused_by_name(served: ServedPair) -> None:
    with pytest.raises(TrainingError, match=r"'gmm'.*known are standard"):
        served.draw_prior("gmm", 0, 1)


def test_a_graph_that_fails_is_named(served: ServedPair) -> None:
    with pytest.raises(TrainingError, match=r"^encoder: ONNX Runtime cannot run it on 2 rows: "):
        served.encode(np.zeros((2, 5), np.float32))


def test_the_models_prior_needs_a_density(model: LinearGaussian) -> None:
    latents = np.random.default_rng(0).normal(size=(5, LATENT)).astype(np.float32)
    shifted = affine_prior(2.0, 3.0)
    pair = model.served(priors={"shifted": shifted}, model_prior="shifted")
    np.testing.assert_allclose(pair.log_prior(latents), norm(3, 2).logpdf(latents).sum(1), rtol=1e-5)
    np.testing.assert_allclose(model.served().log_prior(latents), norm(0, 1).logpdf(latents).sum(1), rtol=1e-6)
    for priors in ({}, {"shifted": shifted._replace(density=None)}):
        with pytest.raises(TrainingError, match=r"'shifted'.*its density is not there"):
            model.served(priors=priors, model_prior="shifted")
