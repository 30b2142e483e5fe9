"""Which packages are found below a directory, and when something is said to have changed."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from serving.repository import changes, look
from tests.packages import publish


def _keys(directory: Path) -> list[tuple[str, int]]:
    return sorted(found.key for found in look(directory).packages)


def test_a_package_is_itself_what_is_found(tiny: Path) -> None:
    [found], unreadable = look(tiny)
    assert (found.directory, found.key, unreadable) == (tiny, ("tiny", 1), [])


def test_finds_packages_however_deep_and_passes_over_what_is_half_written(tmp_path: Path) -> None:
    publish(tmp_path / "a" / "model")
    publish(tmp_path / "b" / "deep" / "er", version=2)
    publish(tmp_path / ".b.x7", version=3)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no package")
    assert _keys(tmp_path) == [("tiny", 1), ("tiny", 2)]


def test_nothing_is_looked_for_inside_a_package(tmp_path: Path) -> None:
    publish(tmp_path / "a")
    publish(tmp_path / "a" / "inside", version=2)
    assert _keys(tmp_path) == [("tiny", 1)]


def test_a_package_with_two_paths_is_found_once(tmp_path: Path) -> None:
    publish(tmp_path / "a")
    (tmp_path / "current").symlink_to(tmp_path / "a")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert _keys(tmp_path) == [("tiny", 1)]


@pytest.mark.parametrize(
    ("manifest", "said"),
    [(b"{", "manifest.json: Invalid JSON"), (b'{"schema_version": 9}', "schema_version 9 is unknown")],
)
def test_tells_which_manifest_is_not_understood(tmp_path: Path, manifest: bytes, said: str) -> None:
    publish(tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "manifest.json").write_bytes(manifest)
    packages, [unreadable] = look(tmp_path)
    assert [found.directory.name for found in packages] == ["good"]
    assert unreadable.directory == tmp_path / "bad"
    assert said in unreadable.reason


def test_a_directory_that_is_away_is_not_an_empty_one(tmp_path: Path) -> None:
    packages, [unreadable] = look(tmp_path / "gone")
    assert packages == []
    assert unreadable.directory == tmp_path / "gone"
    assert look(tmp_path) == ([], [])


def test_the_stamp_changes_with_any_file_and_not_with_the_name(tmp_path: Path) -> None:
    publish(tmp_path / "a")
    [before] = look(tmp_path).packages
    (tmp_path / "a").rename(tmp_path / "b")
    [moved] = look(tmp_path).packages
    assert (moved.stamp, moved.directory.name) == (before.stamp, "b")
    with (tmp_path / "b" / "decoder.onnx").open("ab") as file:
        file.write(b"\0")
    [altered] = look(tmp_path).packages
    assert altered.stamp != before.stamp
    (tmp_path / "b" / "decoder.onnx").unlink()
    [short] = look(tmp_path).packages
    assert short.stamp not in (before.stamp, altered.stamp)


def test_the_same_package_written_again_has_another_stamp(tmp_path: Path) -> None:
    publish(tmp_path / "a")
    [before] = look(tmp_path).packages
    publish(tmp_path / "a")
    [after] = look(tmp_path).packages
    assert (after.key, after.directory) == (before.key, before.directory)
    assert after.stamp != before.stamp


async def _told(watching: AsyncIterator[None]) -> None:
    async with asyncio.timeout(20):
        await anext(watching)


def test_tells_of_what_comes_goes_and_is_exchanged(tmp_path: Path) -> None:
    models = publish(tmp_path / "models" / "a").parent
    deeds: list[Callable[[], object]] = [
        lambda: publish(models / "b"),
        lambda: publish(models / "a"),
        lambda: shutil.rmtree(models / "a"),
        lambda: models.rename(tmp_path / "old"),
    ]

    async def watch() -> None:
        watching = changes(models, look_seconds=60)
        await _told(watching)  # what was there before
        for deed in deeds:
            asyncio.get_running_loop().call_later(0.2, deed)
            await _told(watching)

    asyncio.run(watch())


def test_looks_now_and_then_where_nothing_can_be_watched(tmp_path: Path) -> None:
    async def watch(directory: Path) -> None:
        watching = changes(directory, look_seconds=0.1)
        for _ in range(3):
            await _told(watching)

    asyncio.run(watch(tmp_path / "gone"))
    asyncio.run(watch(tmp_path))
