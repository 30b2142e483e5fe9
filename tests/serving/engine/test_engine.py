"""The engine on the tiny package."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from serving.engine.engine import Engine
from serving.engine.providers import Placement
from serving.engine.rows import DataRows, DecodeResult, EncodeResult, LatentRows, PriorRows, ReconstructRows
from serving.engine.session import Session
from serving.interrupt import Interrupt
from tests.support.make_coded_package import encode, make
from tests.support.make_mixture_prior import draw
from tests.support.packages import publish
from vaeserve.errors import EngineFailure, NonFiniteOutput
from vaeserve.package.directory import ModelPackage
from vaeserve.package.row_spec import Array
from vaeserve.rows.noise import Purpose, RowRange, standard_normals

T = TypeVar("T")

CPU = Placement("cpu")


@pytest.fixture(scope="module")
def engine(tiny: Path) -> Engine:
    package = ModelPackage.open(tiny)
    graphs = package.manifest.graphs
    encoder, decoder = (Session(package.read(graph), graph, CPU) for graph in (graphs.encoder, graphs.decoder))
    return Engine(package.manifest, encoder, decoder)


@pytest.fixture(scope="module")
def with_priors(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """An engine that has the prior `gmm`, and the same under another name."""
    package = ModelPackage.open(publish(tmp_path_factory.mktemp("priors") / "package", prior="gmm"))
    manifest = package.manifest
    other = manifest.priors[1].model_copy(update={"name": "other"})
    sessions = {name: Session(package.read(graph), graph, CPU) for name, graph in manifest.served_graphs.items()}
    priors = dict.fromkeys(("gmm", "other"), sessions["prior.gmm"])
    manifest = manifest.model_copy(update={"priors": (*manifest.priors, other)})
    return Engine(manifest, sessions["encoder"], sessions["decoder"], priors=priors)


def good(answers: Sequence[T | NonFiniteOutput]) -> list[T]:
    """Returns the answers, none of which may be an error."""
    return [answer for answer in answers if not isinstance(answer, NonFiniteOutput) or pytest.fail(str(answer))]


def _data(rows: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 17, (rows, 4, 4, 1), np.uint8)


def _same(one: DecodeResult, other: DecodeResult) -> None:
    np.testing.assert_array_equal(one.output, other.output)
    np.testing.assert_array_equal(one.latent, other.latent)


def test_a_mixed_batch_gives_each_what_it_gets_alone(engine: Engine) -> None:
    latents = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    batch: list[LatentRows | PriorRows] = [
        PriorRows(RowRange(7, 0, 4), 1.0, "data"),
        LatentRows(latents, "expectation"),
        PriorRows(RowRange(8, 100, 2), 0.5, "expectation"),
        LatentRows(latents[:1], "data"),
    ]
    for together, rows in zip(good(engine.decode(batch)), batch, strict=True):
        _same(together, good(engine.decode([rows]))[0])


def test_samples_are_the_noise_of_their_rows_times_the_temperature(engine: Engine) -> None:
    (cold,) = good(engine.decode([PriorRows(RowRange(7, 10, 4), 0.5, "data")]))
    np.testing.assert_array_equal(
        cold.latent, standard_normals(Purpose.PRIOR, [RowRange(7, 10, 4)], 3) * np.float32(0.5)
    )


def test_each_row_of_a_batch_is_drawn_from_its_own_prior(with_priors: Engine) -> None:
    batch: list[LatentRows | PriorRows] = [
        PriorRows(RowRange(7, 0, 4), 1.0, "data", prior="gmm"),
        PriorRows(RowRange(7, 0, 4), 1.0, "data"),
        LatentRows(np.ones((2, 3), np.float32), "expectation"),
        PriorRows(RowRange(8, 5, 2), 0.5, "data", prior="other"),
        PriorRows(RowRange(9, 0, 1), 0.25, "expectation", prior="gmm"),
    ]
    together = good(with_priors.decode(batch))
    for answer, rows in zip(together, batch, strict=True):
        _same(answer, good(with_priors.decode([rows]))[0])
        if isinstance(rows, PriorRows) and rows.prior != "standard":
            noise = standard_normals(Purpose.PRIOR, [rows.noise], 4)
            expected = draw(noise, np.full(len(rows), rows.temperature, np.float32))
            np.testing.assert_array_equal(answer.latent, expected)
    np.testing.assert_array_equal(together[1].latent, standard_normals(Purpose.PRIOR, [RowRange(7, 0, 4)], 3))


def test_a_draw_that_is_not_finite_fails_alone(with_priors: Engine) -> None:
    first, second = with_priors.decode(
        [
            PriorRows(RowRange(7, 0, 2), np.inf, "data", prior="gmm"),  # no request may ask for it
            PriorRows(RowRange(7, 0, 2), 1.0, "data", prior="gmm"),
        ]
    )
    assert str(first) == "the prior answers NaN or infinity for row 0, 1"
    assert isinstance(second, DecodeResult)


def test_encodes_mean_moments_and_draw_in_one_batch(engine: Engine) -> None:
    data, address = _data(3), RowRange(5, 20, 3)
    mean, moments, draw = good(
        engine.encode([DataRows(data), DataRows(data, log_variance=True), DataRows(data, noise=address)])
    )
    assert mean.log_variance is None
    assert moments.log_variance is not None
    np.testing.assert_array_equal(mean.latent, moments.latent)
    noise = standard_normals(Purpose.POSTERIOR, [address], 3)
    expected = mean.latent + np.exp(0.5 * moments.log_variance) * noise
    np.testing.assert_allclose(draw.latent, expected, rtol=1e-6)


def test_a_part_draws_the_noise_of_its_own_rows(engine: Engine) -> None:
    rows = DataRows(_data(6), noise=RowRange(5, 20, 6))
    (whole,) = good(engine.encode([rows]))
    parts = good(engine.encode([rows.part(0, 2), rows.part(2, 6)]))
    np.testing.assert_array_equal(whole.latent, np.concatenate([part.latent for part in parts]))


def test_prior_rows_are_cut_by_address() -> None:
    rows = PriorRows(RowRange(1, 10, 6), 1.0, "data")
    assert rows.part(2, 5).noise == RowRange(1, 12, 3)
    assert len(rows.part(2, 5)) == 3


def test_reconstructions_in_a_batch_are_what_they_are_alone(tiny: Path) -> None:
    package = ModelPackage.open(tiny)
    graphs = package.manifest.graphs.by_name
    sessions = {name: Session(package.read(graph), graph, CPU) for name, graph in graphs.items()}
    batch = [
        ReconstructRows(_data(3)),
        ReconstructRows(_data(2, seed=1), noise=RowRange(3, 7, 2), output="expectation"),
        ReconstructRows(_data(1, seed=2)),
    ]
    engine = Engine(package.manifest, sessions["encoder"], sessions["decoder"], sessions["likelihood"])
    for together, rows in zip(good(engine.reconstruct(batch)), batch, strict=True):
        for one, other in zip(together, good(engine.reconstruct([rows]))[0], strict=True):
            assert one is not None
            np.testing.assert_array_equal(one, other)
    without = Engine(package.manifest, sessions["encoder"], sessions["decoder"])
    assert [answer.log_likelihood for answer in good(without.reconstruct(batch))] == [None] * 3


def test_rows_that_decode_to_nan_fail_alone(engine: Engine) -> None:
    latents = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    poisoned = np.concatenate([latents, np.full((1, 3), np.nan, np.float32), latents])
    first, middle, last = engine.decode(
        [LatentRows(latents, "data"), LatentRows(poisoned, "data"), LatentRows(latents, "expectation")]
    )
    assert isinstance(middle, NonFiniteOutput)
    assert str(middle) == "the decoder answers NaN or infinity for row 4"
    _same(*good([first, engine.decode([LatentRows(latents, "data")])[0]]))
    assert isinstance(last, DecodeResult)


class EncoderWithNaN(Session):
    """An encoder that answers a sound mean and, for its last row, a log-variance of NaN."""

    def __init__(self) -> None:
        pass

    def run(
        self,
        feeds: Mapping[str, Array],
        outputs: Sequence[str],
        interrupt: Interrupt | None = None,
        *,
        gives_back: bool = False,
    ) -> list[Array]:
        answers = {name: np.zeros((len(feeds["data"]), 3), np.float32) for name in ("mean", "log_variance")}
        answers["log_variance"][-1, 0] = np.nan
        return [answers[name] for name in outputs]


def test_a_log_variance_of_nan_fails_those_who_asked_for_it(tiny: Path) -> None:
    package = ModelPackage.open(tiny)
    decoder = Session(package.read(package.manifest.graphs.decoder), package.manifest.graphs.decoder, CPU)
    engine = Engine(package.manifest, EncoderWithNaN(), decoder)
    asked, mean = DataRows(_data(2), log_variance=True), DataRows(_data(2))
    sound, failed = engine.encode([asked, asked])
    assert isinstance(sound, EncodeResult)
    assert isinstance(failed, NonFiniteOutput)
    assert str(failed) == "the encoder answers NaN or infinity for row 1"
    assert len(good(engine.encode([asked, mean]))) == 2


def test_an_interrupted_run_ends_with_an_error(engine: Engine) -> None:
    interrupt = Interrupt()
    interrupt.set()
    with pytest.raises(EngineFailure):
        engine.decode([PriorRows(RowRange(0, 0, 4), 1.0, "data")], interrupt)


def test_codes_are_answered_where_they_are_wanted(tmp_path: Path) -> None:
    package = make(tmp_path / "coded")
    graphs = package.manifest.graphs
    encoder, decoder = (Session(package.read(graph), graph, CPU) for graph in (graphs.encoder, graphs.decoder))
    engine = Engine(package.manifest, encoder, decoder)
    first, second = good(engine.encode([DataRows(_data(3), codes=True), DataRows(_data(2, 1))]))
    assert first.codes is not None
    assert second.codes is None
    np.testing.assert_array_equal(first.codes, encode(_data(3))["codes"])
    (alone,) = good(engine.encode([DataRows(_data(2, 1))]))
    np.testing.assert_array_equal(second.latent, alone.latent)
