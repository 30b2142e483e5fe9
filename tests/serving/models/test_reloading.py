"""What is served follows what a directory holds, and bad packages change nothing."""

import asyncio
import gc
import logging
import os
import shutil
import weakref
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Never

import numpy as np
import pytest

from serving.batching.device import Device
from serving.engine.rows import LatentRows
from serving.models.loading import BREATH_SECONDS, ProvedModel, load
from serving.models.registry import Models
from serving.models.reloading import Reloader
from serving.models.repository import Look, Repository
from serving.settings import read_settings
from tests.serving.conftest import submit
from tests.support.packages import corrupt, publish
from tests.support.servers import eventually, until
from vaeserve.errors import PackageError, StartupError

Keys = list[tuple[str, int]]


class _Running:
    """A reloader at work on a directory that is not watched."""

    def __init__(self, directory: Path, **flags: str) -> None:
        settings = read_settings(
            {"package": str(directory), "provider": "cpu", "watch": "off", "threads": "1", "batch_rows": "8", **flags}
        )
        self.models = Models()
        self.reloader = Reloader(settings, self.models, Device())

    @property
    def keys(self) -> Keys:
        return [served.key for served in self.models.all()]

    async def look(self) -> Keys:
        """Returns what is served after one look."""
        await self.reloader.catch_up()
        return self.keys


def _run(directory: Path, use: Callable[[_Running], Awaitable[None]], **flags: str) -> None:
    async def run() -> None:
        running = _Running(directory, **flags)
        await running.reloader.start()
        await use(running)

    asyncio.run(run())


def test_serves_the_newest_versions_of_each_name(tmp_path: Path) -> None:
    for version in (1, 2, 10):
        publish(tmp_path / str(version), version=version)
    publish(tmp_path / "other", name="other")

    async def use(running: _Running) -> None:
        assert running.keys == [("other", 1), ("tiny", 2), ("tiny", 10)]
        assert running.reloader.reloads.ok == {"other": 1, "tiny": 2}
        publish(tmp_path / "11", version=11)
        assert await running.look() == [("other", 1), ("tiny", 10), ("tiny", 11)]
        shutil.rmtree(tmp_path / "11")
        shutil.rmtree(tmp_path / "other")
        assert await running.look() == [("tiny", 2), ("tiny", 10)]

    _run(tmp_path, use)


def test_as_many_versions_as_the_setting_says(tmp_path: Path) -> None:
    for version in (1, 2, 3):
        publish(tmp_path / str(version), version=version)

    async def use(running: _Running) -> None:
        assert running.keys == [("tiny", 3)]

    _run(tmp_path, use, versions="1")


def test_a_package_that_did_not_change_is_not_loaded_again(tmp_path: Path) -> None:
    publish(tmp_path / "a")

    async def use(running: _Running) -> None:
        before = running.models.find("", 0)
        await running.look()
        (tmp_path / "a").rename(tmp_path / "b")
        await running.look()
        assert running.models.find("", 0) is before
        publish(tmp_path / "b")
        await running.look()
        assert running.models.find("", 0) is not before
        assert running.reloader.reloads.ok == {"tiny": 2}

    _run(tmp_path, use)


def test_sessions_are_opened_with_pauses_once_there_are_callers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def noted(*place: Any, breath_seconds: float) -> ProvedModel:  # noqa: ANN401, handed on
        pauses.append(breath_seconds)
        return load(*place, breath_seconds=breath_seconds)

    monkeypatch.setattr("serving.models.reloading.load", noted)
    publish(tmp_path / "1", version=1)

    async def use(running: _Running) -> None:
        publish(tmp_path / "2", version=2)
        await running.look()
        assert pauses == [0.0, BREATH_SECONDS]

    _run(tmp_path, use)


@pytest.mark.parametrize("damage", ["checksum", "probe", "manifest", "file"])
@pytest.mark.parametrize(("name", "version"), [("a", 1), ("a", 2), ("b", 2)])
def test_a_bad_package_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str, name: str, version: int
) -> None:
    publish(tmp_path / "a")
    place = tmp_path / name

    async def use(running: _Running) -> None:
        before = running.models.find("", 0)
        publish(place, version=version, is_right=damage != "probe")
        if damage == "checksum":
            corrupt(place)
        elif damage == "file":
            (place / "encoder.onnx").unlink()
        elif damage == "manifest":
            (place / "manifest.json").write_text("{")
        with caplog.at_level(logging.ERROR):
            await running.look()
        assert running.models.find("", 0) is before
        [line] = [record.getMessage() for record in caplog.records]
        assert line.startswith(f"{place} is not taken, what is served stays: ")
        assert running.reloader.reloads.failed == {"b" if (damage, name) == ("manifest", "b") else "tiny": 1}
        await running.look()
        assert len(caplog.records) == 1
        shutil.rmtree(place)
        publish(place, version=version)
        assert await running.look() == sorted({("tiny", version), ("tiny", 1 if name == "b" else version)})
        assert running.models.find("", 0) is not before
        assert running.reloader.reloads.ok == {"tiny": 2}

    _run(tmp_path, use)


@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("b", "a")])
def test_of_two_packages_with_one_version_the_older_is_served_now_and_after_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, first: str, second: str
) -> None:
    old, new = tmp_path / first, tmp_path / second
    publish(old, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    said = (
        f"{new} is not taken, what is served stays: {old}, which is older, is tiny version 1 already: give this one a"
        " version of its own (`--version next` of `vae export`, `vae import` or `vae package`), or remove one of the"
        " two"
    )

    def told(level: int) -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelno == level]

    async def use(running: _Running) -> None:
        before = running.models.find("", 0)
        publish(new, created_at=datetime(2026, 1, 2, tzinfo=UTC))
        await running.look()
        await running.look()
        assert running.models.find("", 0) is before
        assert told(logging.ERROR) == [said]
        assert (running.reloader.reloads.ok, running.reloader.reloads.failed) == ({"tiny": 1}, {"tiny": 1})

    async def use_again(running: _Running) -> None:
        await running.look()
        assert told(logging.ERROR) == [said]
        assert told(logging.INFO) == [f"serving tiny version 1, {old}"]
        shutil.rmtree(old)
        assert await running.look() == [("tiny", 1)]
        assert told(logging.INFO)[1:] == [f"serving tiny version 1, {new}"]

    with caplog.at_level(logging.INFO):
        _run(tmp_path, use)
        caplog.clear()
        _run(tmp_path, use_again)


def test_of_packages_with_one_version_a_bad_one_is_not_in_the_way(tmp_path: Path) -> None:
    publish(tmp_path / "bad", is_right=False, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    publish(tmp_path / "good", created_at=datetime(2026, 1, 2, tzinfo=UTC))

    async def use(running: _Running) -> None:
        assert await running.look() == [("tiny", 1)]
        assert running.reloader.reloads.ok == running.reloader.reloads.failed == {"tiny": 1}

    _run(tmp_path, use)


def test_a_look_that_fails_is_told_and_the_next_one_takes_what_came(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(tmp_path / "a")

    class Failing(Repository):
        def look(self) -> Look:
            if not caplog.records:
                raise RuntimeError("the disk is strange")
            return super().look()

    async def use(running: _Running) -> None:
        running.reloader.repository = Failing(tmp_path)
        keeping_up = asyncio.create_task(running.reloader.run())
        publish(tmp_path / "b", version=2)
        await asyncio.to_thread(until, lambda: len(running.keys) == 2)
        assert running.keys == [("tiny", 1), ("tiny", 2)]
        keeping_up.cancel()
        assert "failed. This is a bug." in caplog.text
        assert "the disk is strange" in caplog.text

    with caplog.at_level(logging.ERROR):
        _run(tmp_path, use, watch="on")


def test_a_start_needs_one_good_package(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def start() -> _Running:
        running = _Running(tmp_path)
        await running.reloader.start()
        return running

    with pytest.raises(PackageError, match=r"is not a model package: cannot read manifest\.json, and none lies below"):
        asyncio.run(start())
    publish(tmp_path / "a")
    publish(tmp_path / "b")
    corrupt(publish(tmp_path / "b", version=2))
    publish(tmp_path / "a", is_right=False)
    with pytest.raises(PackageError, match=r"no package of 2 can be served: .*wrong checksum.*; probe "):
        asyncio.run(start())
    assert caplog.text == ""
    publish(tmp_path / "c", version=3)
    assert asyncio.run(start()).keys == [("tiny", 3)]
    assert "wrong checksum" in caplog.text


def test_a_start_may_wait_for_a_good_package(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def start() -> None:
        running = _Running(tmp_path / "models", wait_for_package="true", watch="on")
        starting = asyncio.create_task(running.reloader.start())
        await eventually(lambda: "holds no package that can be served" in caplog.text)
        corrupt(publish(tmp_path / "models" / "a"))
        await eventually(lambda: "wrong checksum" in caplog.text)
        assert not starting.done()
        publish(tmp_path / "models" / "b", version=2)
        await starting
        assert running.keys == [("tiny", 2)]

    asyncio.run(start())
    assert [record.levelname for record in caplog.records].count("WARNING") == 1


def test_no_start_waits_for_what_no_package_brings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_gpu(*_: object, **__: object) -> Never:
        raise StartupError("CUDA was asked for, but its driver finds no GPU here")

    start = _Running(tmp_path, wait_for_package="true").reloader.start
    with monkeypatch.context() as patched:
        patched.setattr("serving.models.reloading.providers", no_gpu)
        with pytest.raises(StartupError, match="finds no GPU here"):
            asyncio.run(start())
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "manifest.json").write_text("{}")
    publish(tmp_path / "b", version=2)
    monkeypatch.setattr("serving.models.reloading.load", no_gpu)
    with pytest.raises(StartupError, match="finds no GPU here"):
        asyncio.run(start())


def test_a_directory_that_goes_away_takes_nothing_with_it(tmp_path: Path) -> None:
    publish(tmp_path / "models" / "a")

    async def use(running: _Running) -> None:
        (tmp_path / "models").rename(tmp_path / "aside")
        assert await running.look() == [("tiny", 1)]
        (tmp_path / "models").mkdir()
        assert await running.look() == []

    _run(tmp_path / "models", use)


def test_what_is_replaced_is_freed(tmp_path: Path) -> None:
    publish(tmp_path / "a")
    rows = LatentRows(np.zeros((2, 3), np.float32), "data")

    async def use(running: _Running) -> None:
        gone: list[weakref.ref[object]] = []
        for _ in range(3):
            served = running.models.find("", 0)
            [answer] = (await submit(served.decoder, rows)).parts
            gone += [weakref.ref(served.decoder), weakref.ref(answer.output)]
            del served, answer
            publish(tmp_path / "a")
            await running.look()
        await eventually(lambda: all(one() is None for one in gone))

    gc.disable()  # only what the reloader does itself counts
    try:
        _run(tmp_path, use)
    finally:
        gc.enable()


def test_what_was_refused_is_tried_again_when_it_is_asked_for(tmp_path: Path) -> None:
    publish(tmp_path / "a")
    graph = publish(tmp_path / "b", version=2) / "decoder.onnx"
    good, written = graph.read_bytes(), graph.stat().st_mtime_ns

    def write(content: bytes) -> None:
        """Leaves the file's stamp as it was, so that nothing seems to have changed."""
        graph.write_bytes(content)
        os.utime(graph, ns=(written, written))

    async def use(running: _Running) -> None:
        write(good)
        assert await running.look() == [("tiny", 1)]
        running.reloader.reload()
        assert await running.look() == [("tiny", 1), ("tiny", 2)]

    write(good[:-1] + b"?")
    _run(tmp_path, use)
