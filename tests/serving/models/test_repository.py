"""Which packages are found below a directory."""

import os
from pathlib import Path

import pytest

from serving.models.repository import Repository
from tests.support.packages import publish
from vaeserve.package.directory import ModelPackage


def _keys(directory: Path) -> list[tuple[str, int]]:
    return sorted(found.key for found in Repository(directory).look().packages)


def test_a_package_is_itself_what_is_found(tiny: Path) -> None:
    [found], unreadable = Repository(tiny).look()
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
    packages, [unreadable] = Repository(tmp_path).look()
    assert [found.directory.name for found in packages] == ["good"]
    assert unreadable.directory == tmp_path / "bad"
    assert said in unreadable.reason


def test_a_directory_that_is_away_is_not_an_empty_one(tmp_path: Path) -> None:
    packages, [unreadable] = Repository(tmp_path / "gone").look()
    assert packages == []
    assert unreadable.directory == tmp_path / "gone"
    assert Repository(tmp_path).look() == ([], [])


def test_the_stamp_changes_with_any_file_and_not_with_the_name(tmp_path: Path) -> None:
    publish(tmp_path / "a")
    [before] = Repository(tmp_path).look().packages
    (tmp_path / "a").rename(tmp_path / "b")
    [moved] = Repository(tmp_path).look().packages
    assert (moved.stamp, moved.directory.name) == (before.stamp, "b")
    with (tmp_path / "b" / "decoder.onnx").open("ab") as file:
        file.write(b"\0")
    [altered] = Repository(tmp_path).look().packages
    assert altered.stamp != before.stamp
    (tmp_path / "b" / "decoder.onnx").unlink()
    [short] = Repository(tmp_path).look().packages
    assert short.stamp not in (before.stamp, altered.stamp)


def test_a_signature_comes_and_goes_without_a_new_stamp(tmp_path: Path) -> None:
    publish(tmp_path / "a")
    [before], _ = Repository(tmp_path).look()
    (tmp_path / "a" / "model.sig").write_text("a signature")
    [signed], unreadable = Repository(tmp_path).look()
    assert (signed, unreadable) == (before, [])
    ModelPackage.open(tmp_path / "a")
    (tmp_path / "a" / "model.sig").unlink()
    assert Repository(tmp_path).look() == ([before], [])


def test_the_same_package_written_again_has_another_stamp(tmp_path: Path) -> None:
    publish(tmp_path / "a")
    [before] = Repository(tmp_path).look().packages
    publish(tmp_path / "a")
    [after] = Repository(tmp_path).look().packages
    assert (after.key, after.directory) == (before.key, before.directory)
    assert after.stamp != before.stamp


def test_a_manifest_is_read_again_only_when_it_changes(tmp_path: Path) -> None:
    manifest = publish(tmp_path / "a") / "manifest.json"
    repository = Repository(tmp_path)
    [before] = repository.look().packages
    written = manifest.stat()
    manifest.write_bytes(manifest.read_bytes().replace(b'"tiny"', b'"ting"'))
    assert repository.look().packages[0].key == ("ting", 1)
    os.utime(manifest, ns=(written.st_atime_ns, written.st_mtime_ns))
    repository.look()
    manifest.write_bytes(manifest.read_bytes().replace(b'"ting"', b'"tiny"'))
    os.utime(manifest, ns=(written.st_atime_ns, written.st_mtime_ns))
    assert repository.look().packages[0].key == ("ting", 1)
    repository.forget()
    assert repository.look().packages == [before]


def test_a_manifest_that_could_not_be_read_is_tried_at_every_look(tmp_path: Path) -> None:
    manifest = publish(tmp_path / "a") / "manifest.json"
    content = manifest.read_bytes()
    manifest.unlink()
    manifest.mkdir()
    repository = Repository(tmp_path)
    assert repository.look().unreadable[0].reason.endswith("manifest.json: is not a regular file")
    manifest.rmdir()
    manifest.write_bytes(content)
    assert [found.key for found in repository.look().packages] == [("tiny", 1)]


def test_a_link_out_of_the_directory_is_followed_to_a_package_and_no_further(tmp_path: Path) -> None:
    served = tmp_path / "served"
    publish(tmp_path / "elsewhere" / "a")
    served.mkdir()
    (served / "a").symlink_to(tmp_path / "elsewhere" / "a")
    (served / "threads").symlink_to("/proc/self/task")
    (served / "up").symlink_to(tmp_path)
    packages, unreadable = Repository(served).look()
    assert [found.directory for found in packages] == [served / "a"]
    assert [one.directory.name for one in unreadable] == ["threads", "up"]
    assert unreadable[1].reason == f"{served / 'up'} is a link out of {served} to {tmp_path}, which is not a package"


def test_a_directory_whose_links_are_swapped_at_once(tmp_path: Path) -> None:
    """As Kubernetes mounts volumes: ..data leads to the files of one moment, and is exchanged as a whole."""
    mount = tmp_path / "mount"
    publish(mount / "..1" / "a")
    publish(mount / "..2" / "a", version=2)
    (mount / "..data").symlink_to("..1")
    (mount / "a").symlink_to("..data/a")
    (tmp_path / "served").symlink_to(mount)
    repository = Repository(tmp_path / "served")
    [before], unreadable = repository.look()
    assert (before.key, unreadable) == (("tiny", 1), [])
    (mount / "..new").symlink_to("..2")
    (mount / "..new").replace(mount / "..data")
    [after], unreadable = repository.look()
    assert (after.key, after.directory, unreadable) == (("tiny", 2), tmp_path / "served" / "a", [])


def test_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    strange = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    publish(tmp_path / "a")
    Path(strange).mkdir()
    (Path(strange) / "manifest.json").write_text("{")
    packages, [unreadable] = Repository(tmp_path).look()
    assert ([found.key for found in packages], str(unreadable.directory)) == ([("tiny", 1)], strange)


def test_only_so_much_is_looked_at_and_what_is_nearest_first(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name / "deep" / "deeper").mkdir(parents=True)
    publish(tmp_path / "z")
    publish(tmp_path / "a" / "package", version=2)
    publish(tmp_path / "c" / "package", version=3)
    found = Repository(tmp_path, maximum_entries=6).look()
    assert sorted(one.key for one in found.packages) == [("tiny", 1), ("tiny", 2)]
    said = f"{tmp_path} holds more than 6 files and directories: the rest was not looked at"
    assert found.unreadable == [(tmp_path, (), said)]
    assert len(Repository(tmp_path, maximum_entries=12).look().packages) == 3
    assert Repository(tmp_path, maximum_entries=12).look().unreadable == []
