from pathlib import Path

import pytest

from vaeserve.package.swap import swap


def test_without_an_exchange_two_renames_do(tmp_path: Path) -> None:
    for name in ("staging", "package"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(name)
    swap(tmp_path / "staging", tmp_path / "package", exchange=lambda one, other: False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["package", "staging"]
    assert (tmp_path / "package" / "manifest.json").read_text() == "staging"
    assert (tmp_path / "staging" / "manifest.json").read_text() == "package"


def test_a_rename_that_fails_brings_the_old_package_back(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    with pytest.raises(FileNotFoundError):
        swap(tmp_path / "absent", tmp_path / "package", exchange=lambda one, other: False)
    assert [path.name for path in tmp_path.iterdir()] == ["package"]
