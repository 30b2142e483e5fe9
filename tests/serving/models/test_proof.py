"""Proofs run in the batches that will be served, and no larger ones."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.engine.engine import Engine
from serving.engine.session import Session
from serving.interrupt import Interrupt
from serving.models.loaded import call_limits
from serving.models.loading import load
from serving.models.row_memory import GraphMemory
from serving.settings import Settings
from tests.support.packages import publish
from vaeserve.errors import OutOfMemory, PackageError
from vaeserve.package.directory import ModelPackage, sha256_of
from vaeserve.package.footprints import Footprint
from vaeserve.package.row_spec import Array


class _Runs:
    """Notes how many rows each run of a graph takes; there may be memory for so many alone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, memory_rows: int = 10**6) -> None:
        self.rows: list[int] = []
        self.shapes: set[tuple[int, ...]] = set()
        self.gives_back: list[bool] = []
        run = Session.run

        def noted(
            session: Session,
            feeds: Mapping[str, Array],
            outputs: list[str],
            interrupt: Interrupt | None = None,
            *,
            gives_back: bool = False,
        ) -> list[Array]:
            self.rows.append(len(next(iter(feeds.values()))))
            self.shapes |= {array.shape for array in feeds.values()}
            self.gives_back.append(gives_back)
            if self.rows[-1] > memory_rows:
                raise OutOfMemory("too many rows")
            return run(session, feeds, outputs, interrupt, gives_back=gives_back)

        monkeypatch.setattr(Session, "run", noted)


@pytest.mark.parametrize("batch_rows", [1, 4, 64])
def test_no_batch_of_a_proof_is_larger_than_those_that_will_be_served(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, batch_rows: int
) -> None:
    package = publish(tmp_path / "mixture", prior="gmm")
    runs = _Runs(monkeypatch)
    proved = load(package, settings.model_copy(update={"batch_rows": batch_rows}))
    assert max(runs.rows) == batch_rows == proved.execution.batch_rows
    assert proved.exactness.is_exact


def test_what_a_proof_took_is_given_back_at_its_end(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = _Runs(monkeypatch)
    load(settings.package, settings)
    assert runs.gives_back == [False] * (len(runs.gives_back) - 3) + [True] * 3  # encoder, decoder, likelihood


@pytest.mark.parametrize(
    ("batch_rows", "short_seconds", "last"), [(1, 0.0, [1]), (1, 60.0, [1, 1]), (4, 0.0, [1, 4]), (4, 60.0, [1, 4, 4])]
)
def test_a_single_row_is_not_run_again_to_warm_up_but_a_short_batch_that_is_timed_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, batch_rows: int, short_seconds: float, last: list[int]
) -> None:
    monkeypatch.setattr("serving.models.proof._SHORT_SECONDS", short_seconds)
    rows: dict[str, list[int]] = {"encode": [], "reconstruct": []}
    for verb, noted in rows.items():
        monkeypatch.setattr(Engine, verb, _noted(getattr(Engine, verb), noted))
    load(settings.package, settings.model_copy(update={"batch_rows": batch_rows}))
    assert rows["encode"] == [4] * (batch_rows == 4)
    assert rows["reconstruct"][-len(last) :] == last
    assert rows["reconstruct"].count(1) == last.count(1)


def _noted(run: Callable[..., Any], rows: list[int]) -> Callable[..., Any]:
    """Returns a verb of an engine that notes the rows of its batches."""

    def noted(engine: Engine, batch: Sequence[Any], interrupt: Interrupt | None) -> Any:  # noqa: ANN401, any verb's
        rows.append(sum(map(len, batch)))
        return run(engine, batch, interrupt)

    return noted


def test_batches_without_memory_are_halved_and_served_so(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = _Runs(monkeypatch, memory_rows=10)
    proved = load(settings.package, settings)
    assert proved.execution.batch_rows == 8
    assert proved.exactness.is_exact
    assert runs.rows[-1] == 1
    assert [rows for rows in runs.rows if rows > 10] == [32, 32, 16]  # of batches of 64, 32 and 16 rows: 32 are proved


def test_sizes_without_memory_are_not_measured(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Runs(monkeypatch, memory_rows=10)
    free = settings.model_copy(update={"batch_rows": 0, "threads": 0, "tuning_cache": tmp_path})
    assert load(settings.package, free).execution.batch_rows <= 8


def test_a_package_without_memory_for_a_row_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    _Runs(monkeypatch, memory_rows=0)
    with pytest.raises(OutOfMemory, match="there is not enough memory for a batch of one row"):
        load(settings.package, settings)


def test_memory_that_was_given_back_is_taken_again(tiny: Path, settings: Settings) -> None:
    engine = load(tiny, settings).engine
    session = engine._decoder
    rows = np.random.default_rng(0).standard_normal((64, 3)).astype(np.float32)
    before = session.run({"latent": rows}, ["expectation"])
    for gives_back in (True, False, True):
        again = session.run({"latent": rows}, ["expectation"], gives_back=gives_back)
        np.testing.assert_array_equal(again[0], before[0])


def test_pictures_of_many_sizes_are_proved_in_batches_of_one_size(
    free: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = _Runs(monkeypatch)
    proved = load(free, settings.model_copy(update={"batch_rows": 6}))
    assert proved.exactness.is_exact
    assert {1, 2, 6} <= {*runs.rows} <= {*range(1, 7)}
    assert proved.memory is not None
    assert proved.memory.budget > 0


def test_exactness_is_tried_at_the_default_size_too(
    free: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = _Runs(monkeypatch)
    load(free, settings.model_copy(update={"batch_rows": 24}))
    assert {(4, 32, 48, 3), (4, 4, 4, 6)} <= runs.shapes  # a row of 48 x 32 counts as six


@pytest.mark.parametrize("ending", ["", "@24x32"])
def test_an_answer_for_any_of_the_sizes_may_be_wrong(
    tmp_path: Path, free: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr("serving.models.proof._REPLAY_SECONDS", 600.0)  # a busy machine would leave the second size out
    package = ModelPackage.open(free)
    probes = package.read_probes()
    probes[f"encoder{ending}.mean"] = probes[f"encoder{ending}.mean"] + 1
    archive = io.BytesIO()
    np.savez(archive, **probes)  # type: ignore[arg-type]  # numpy's stub takes **kwds for allow_pickle
    manifest, files = package.manifest, {file.file: package.read(file) for file in package.manifest.files}
    files["probes.npz"] = archive.getvalue()
    probes_file = manifest.probes.model_copy(update={"sha256": sha256_of(archive.getvalue())})
    ModelPackage.write(tmp_path / "wrong", manifest.model_copy(update={"probes": probes_file}), files)
    size = "32 x 24" if ending else "16 x 16"
    with pytest.raises(
        PackageError, match=rf"probe encoder\.mean of pictures of {size} on cpu: differs from the trainer's"
    ):
        load(tmp_path / "wrong", settings)


def test_rows_of_a_batch_are_counted_by_their_memory(free: Path, settings: Settings) -> None:
    limited = settings.model_copy(update={"activation_bytes": 10**6})
    proved = load(free, limited)
    assert proved.memory is not None
    assert proved.memory.budget == 10**6
    limits = call_limits(proved, limited)
    assert limits.call_rows == limited.call_rows  # of the smallest size; of the largest, a reply would hold 85
    footprints = tuple(Footprint(pixels=side**2, bytes=side**2 * 500) for side in (16, 256))
    memory = proved.memory._replace(encoder=GraphMemory(footprints))
    limits = call_limits(proved._replace(memory=memory), limited)
    assert limits.encode_pixels == pytest.approx(2000, abs=1)
