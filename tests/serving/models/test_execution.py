"""Who decides how a model is run: the operator, the cache, what is known, a measurement."""

from pathlib import Path

import pytest

from serving.models.execution import Execution, TuningPlace, decide, remember
from serving.models.measuring import Measurement, RunRows
from serving.settings import Settings, read_settings

KNOWN = Execution(1, 2, 16, "measured")
POINT = Measurement(2, 1, 32, 1e-6, 1e-6, 1e-3)


def settings(cache: Path, **flags: str) -> Settings:
    return read_settings({"package": "x", "tuning_cache": str(cache), **flags})


def place(fingerprint: str = "ab" * 32, cpus: int = 2) -> TuningPlace:
    return TuningPlace(fingerprint, "cpu", cpus)


def never(threads: int) -> RunRows:
    raise AssertionError("nothing was to be measured")


def quick(threads: int) -> RunRows:
    return lambda rows: None


def test_what_is_set_is_not_measured(tmp_path: Path) -> None:
    told = settings(tmp_path, threads="1", batch_rows="8")
    assert decide(place(), told, KNOWN, never) == (2, 1, 8, "set")
    told = settings(tmp_path, executors="3", threads="2", batch_rows="8")
    assert decide(place(), told, None, never) == (3, 2, 8, "set")
    assert decide(place(cpus=8), settings(tmp_path, executors="2", batch_rows="8"), None, never) == (2, 4, 8, "set")


def test_a_cache_counts_before_what_is_known(tmp_path: Path) -> None:
    remember(place(), POINT, tmp_path)
    assert decide(place(), settings(tmp_path), KNOWN, never) == (1, 2, 32, "cached")
    assert decide(place(), settings(tmp_path, batch_rows="5"), None, never) == (1, 2, 5, "cached")


@pytest.mark.parametrize("other", [place("cd" * 32), place(cpus=4)])
def test_a_cache_holds_for_its_pair_and_its_processors(tmp_path: Path, other: TuningPlace) -> None:
    remember(place(), POINT, tmp_path)
    assert decide(other, settings(tmp_path), KNOWN, never) == KNOWN


@pytest.mark.parametrize(
    "edit", [("{", "["), ('"batch_rows": 32', '"batch_rows": 0'), ('"processor": "', '"processor": "other ')]
)
def test_a_cache_that_does_not_fit_is_passed_over_and_named(
    tmp_path: Path, edit: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    file = remember(place(), POINT, tmp_path)
    file.write_text(file.read_text().replace(*edit))
    assert decide(place(), settings(tmp_path), KNOWN, never) == KNOWN
    assert str(file) in caplog.text


def test_what_is_not_known_is_measured(tmp_path: Path) -> None:
    found = decide(place(), settings(tmp_path), None, quick)
    assert found.source == "measured"
    assert found.executors * found.threads <= 2
    one = decide(place(), settings(tmp_path, threads="2"), KNOWN._replace(threads=1), quick)
    assert (one.threads, one.source) == (2, "measured")
