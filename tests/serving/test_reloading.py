"""What is served follows what a directory holds, and bad packages change nothing."""

import asyncio
import gc
import logging
import os
import shutil
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from serving.device import Device
from serving.models import Models
from serving.reloading import Reloader
from serving.rows import LatentRows
from serving.settings import read_settings
from tests.packages import corrupt, publish
from vae.errors import PackageError

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
        return [(model.name, model.version) for model in self.models.describe()]

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


def test_two_directories_with_one_name_and_version_are_both_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(tmp_path / "a")

    async def use(running: _Running) -> None:
        before = running.models.find("", 0)
        publish(tmp_path / "b")
        await running.look()
        assert running.models.find("", 0) is before
        assert f"{tmp_path / 'a'} and {tmp_path / 'b'} are both tiny version 1" in caplog.text
        shutil.rmtree(tmp_path / "a")
        assert await running.look() == [("tiny", 1)]
        assert running.models.find("", 0) is not before

    _run(tmp_path, use)


def test_a_start_needs_one_good_package(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def start() -> _Running:
        running = _Running(tmp_path)
        await running.reloader.start()
        return running

    with pytest.raises(PackageError, match=r"is no model package: cannot read manifest\.json, and none lies below"):
        asyncio.run(start())
    publish(tmp_path / "a")
    publish(tmp_path / "b")
    with pytest.raises(PackageError, match=r"/a and \S+/b are both tiny version 1$"):
        asyncio.run(start())
    corrupt(publish(tmp_path / "b", version=2))
    publish(tmp_path / "a", is_right=False)
    with pytest.raises(PackageError, match=r"no package of 2 can be served: .*wrong checksum.*; probe "):
        asyncio.run(start())
    assert caplog.text == ""
    publish(tmp_path / "c", version=3)
    assert asyncio.run(start()).keys == [("tiny", 3)]
    assert "wrong checksum" in caplog.text


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
            [answer] = (await served.decoder.submit(rows)).parts
            gone += [weakref.ref(served.decoder), weakref.ref(answer.output)]
            del served, answer
            publish(tmp_path / "a")
            await running.look()
        async with asyncio.timeout(60):
            while [one() for one in gone] != [None] * len(gone):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

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
