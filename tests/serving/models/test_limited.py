"""Loads that take too long, on graphs that really never end."""

import asyncio
import logging
import threading
from functools import partial
from pathlib import Path

import pytest

from serving.batching.device import Device
from serving.interrupt import Interrupt
from serving.models import limited, reloading
from serving.models.limited import run_limited
from serving.models.loading import load
from serving.models.registry import Models
from serving.models.reloading import Reloader
from serving.settings import Settings, read_settings
from tests.support.make_endless_package import make_endless
from tests.support.packages import publish
from vaeserve.errors import EngineFailure, PackageError


def test_work_that_ends_in_time_is_answered_and_its_errors_are_its_own() -> None:
    assert asyncio.run(run_limited("it", lambda _: 7, 60)) == 7

    def fail(_: Interrupt) -> None:
        raise EngineFailure("broken")

    with pytest.raises(EngineFailure, match="broken"):
        asyncio.run(run_limited("it", fail, 60))


@pytest.mark.parametrize("known", ["measured", "set"])
def test_a_load_that_never_ends_is_stopped(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, known: str
) -> None:
    monkeypatch.setattr(limited, "_STOP_SECONDS", 60.0)  # it may not run a graph yet when it is interrupted
    endless = make_endless(tmp_path / "endless")
    if known == "measured":
        settings = settings.model_copy(update={"threads": 0, "batch_rows": 0, "tuning_cache": tmp_path / "cache"})
    with pytest.raises(PackageError, match=r"loading it took more than 0\.5 s \(load_seconds\) and was stopped$"):
        asyncio.run(run_limited("loading it", partial(load, endless, settings, None), 0.5))
    for thread in threading.enumerate():
        if thread.name == "loader":
            thread.join(60)
            assert not thread.is_alive()


def test_what_takes_long_is_told_before_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited, "_SHORT_SECONDS", 0.0)
    told, lines = threading.Event(), []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())
            told.set()

    listening = Listening()
    limited._log.addHandler(listening)
    assert asyncio.run(run_limited("loading it", lambda _: told.wait(60), 600))
    limited._log.removeHandler(listening)
    assert lines == ["loading it takes long; it is stopped after 600 s (load_seconds)"]


def test_what_cannot_be_stopped_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited, "_STOP_SECONDS", 0.01)
    free = threading.Event()
    with pytest.raises(PackageError, match="cannot be stopped: its thread and its memory are given up"):
        asyncio.run(run_limited("loading it", lambda _: free.wait(60), 0.01))
    free.set()


def test_later_packages_are_loaded_after_one_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_endless(tmp_path / "endless", name="z-endless")  # the first to be loaded
    publish(tmp_path / "tiny")
    flags = {"package": str(tmp_path), "provider": "cpu", "watch": "off", "threads": "1", "batch_rows": "8"}
    models = Models()
    reloader = Reloader(read_settings(flags), models, Device())
    monkeypatch.setattr(
        reloading,
        "run_limited",
        lambda name, work, seconds: run_limited(name, work, 0.5 if "endless" in name else seconds),
    )
    asyncio.run(reloader.start())
    assert [served.key for served in models.all()] == [("tiny", 1)]
    assert reloader.reloads.failed == {"z-endless": 1}
