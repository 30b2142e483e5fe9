"""A pair in half precision whose outlying rows overflow, on a server and in the engine."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from serving.engine.half import HalfEngine
from serving.engine.providers import Placement
from serving.engine.rows import DataRows, DecodeResult, EncodeResult, LatentRows, ReconstructRows
from serving.engine.session import Session
from serving.models.loading import load
from serving.settings import settings_of
from tests.support.make_half_package import make
from tests.support.servers import StartServer, read_metrics
from vaeserve import Client
from vaeserve.errors import NonFiniteOutput, OutOfMemory, PackageError
from vaeserve.package.directory import ModelPackage
from vaeserve.package.row_spec import Array
from vaeserve.rows.noise import RowRange


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return make(tmp_path_factory.mktemp("half") / "package")


@pytest.fixture(scope="module")
def float32(tiny: Path) -> tuple[Session, Session]:
    package = ModelPackage.open(tiny)
    graphs = package.manifest.graphs
    encoder, decoder = (Session(package.read(it), it, Placement("cpu")) for it in (graphs.encoder, graphs.decoder))
    return encoder, decoder


def engine_of(package: ModelPackage, open_float32: Callable[[], tuple[Session, Session]]) -> HalfEngine:
    sessions = {
        name: Session(package.read(graph), graph, Placement("cpu"))
        for name, graph in package.manifest.graphs.by_name.items()
    }
    return HalfEngine(
        package.manifest, sessions["encoder"], sessions["decoder"], sessions["likelihood"], open_float32=open_float32
    )


def pictures(outlying: int, rows: int = 5) -> Array:
    """Pictures of which one is half black and half white."""
    data = np.random.default_rng(0).integers(4, 9, (rows, 4, 4, 1), np.uint8)
    data[outlying] = np.repeat([16, 0], 8).reshape(4, 4, 1)
    return data


def test_a_row_that_overflows_is_answered_in_float32_and_counted(
    start_server: StartServer, half: ModelPackage, tiny: Path, port: str
) -> None:
    data = pictures(outlying=3)
    latent = np.array([[0.1, 1.3, -1], [300, 2, 300], [0, 0, 0.25]], np.float32)
    with Client(start_server("--metrics-port", port, package=half.directory).target) as client:
        encoded, decoded = client.encode(data), client.decode(latent, output="expectation")
        reconstructed = client.reconstruct(data)
        assert client.get_model().precision == "fp16"
    with Client(start_server(package=tiny).target) as client:
        expected, whole = client.encode(data), client.decode(latent, output="expectation")
        scores = client.reconstruct(data)
        assert client.get_model().precision == "float32"
    np.testing.assert_array_equal(encoded.latent, expected.latent)
    np.testing.assert_array_equal(decoded.output, whole.output)
    np.testing.assert_array_equal(reconstructed.squared_error, scores.squared_error)
    counts = read_metrics(port)
    for graph in ("encoder", "decoder", "reconstructor"):
        assert counts["vae_rerun_rows_total", graph, "tiny", "1"] == 1
        assert counts["vae_non_finite_rows_total", graph, "tiny", "1"] == 0


def test_each_row_keeps_its_bits_whatever_its_neighbours(half: ModelPackage, float32: tuple[Session, Session]) -> None:
    engine = engine_of(half, lambda: float32)
    data = pictures(outlying=1)
    data[3] = data[1]
    calls = [DataRows(data, log_variance=True, noise=RowRange(7, 0, 5)), DataRows(data[:1])]
    together = engine.encode(calls)
    first, second = (answer for answer in together if isinstance(answer, EncodeResult))
    for row in range(5):
        (alone,) = engine.encode([calls[0].part(row, row + 1)])
        assert isinstance(alone, EncodeResult)
        np.testing.assert_array_equal(first.latent[row], alone.latent[0])
        assert first.log_variance is not None
        assert alone.log_variance is not None
        np.testing.assert_array_equal(first.log_variance[row], alone.log_variance[0])
    assert second.log_variance is None
    assert engine.rerun_rows == {"encoder": 2 + 2}


def test_the_float32_pair_is_opened_once_and_only_when_it_is_needed(
    half: ModelPackage, float32: tuple[Session, Session]
) -> None:
    opened: list[int] = []

    def open_float32() -> tuple[Session, Session]:
        opened.append(1)
        return float32

    engine = engine_of(half, open_float32)
    engine.reconstruct([ReconstructRows(pictures(0)[1:])])
    assert (opened, engine.rerun_rows) == ([], {})
    for _ in range(2):
        engine.reconstruct([ReconstructRows(pictures(0))])
    assert (opened, engine.rerun_rows) == ([1], {"reconstructor": 2})


@pytest.mark.parametrize(
    "error", [OutOfMemory("no memory"), MemoryError("none left"), PackageError("the package is gone")]
)
def test_a_row_that_float32_cannot_answer_either_fails_alone(
    half: ModelPackage, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []

    def fail() -> tuple[Session, Session]:
        tries.append(1)
        raise error

    good, bad = LatentRows(np.zeros((2, 3), np.float32), "data"), LatentRows(np.eye(3, dtype=np.float32) * 99, "data")
    first, second = engine_of(half, fail).decode([good, bad])
    assert isinstance(first, DecodeResult)
    assert isinstance(second, NonFiniteOutput)
    assert (second.graph, list(second.rows)) == ("decoder", [0, 1, 2])
    assert str(error) in caplog.text
    assert (tries, len(caplog.records)) == ([1], 1)  # not once a row


def test_a_package_in_half_precision_is_proved_like_any_other(half: ModelPackage) -> None:
    proved = load(half.directory, settings_of(package=half.directory, provider="cpu", threads=1, batch_rows=8))
    assert isinstance(proved.engine, HalfEngine)
    (answer,) = proved.engine.encode([DataRows(pictures(0))])
    assert isinstance(answer, EncodeResult)
    assert np.isfinite(answer.latent).all()
