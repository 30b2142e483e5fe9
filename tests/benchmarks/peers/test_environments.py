import zipfile
from pathlib import Path

import pytest

from benchmarks.peers.environments import MissingPeer, environment, last_line


def make_wheel(directory: Path, name: str) -> str:
    """Writes a wheel with nothing in it."""
    wheel, info = directory / f"{name}-1-py3-none-any.whl", f"{name}-1.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return str(wheel)


def test_an_environment_is_made_once_and_again_for_other_packages(tmp_path: Path) -> None:
    one, other = make_wheel(tmp_path, "one"), make_wheel(tmp_path, "other")
    python = environment(tmp_path / "peer", one)
    (python.parent / "kept").touch()
    assert environment(tmp_path / "peer", one) == python
    assert (python.parent / "kept").exists()
    environment(tmp_path / "peer", other)
    assert not (python.parent / "kept").exists()


def test_what_pip_cannot_install_is_missing_and_nothing_says_otherwise_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(MissingPeer, match=r"^pip cannot install it: .*nowhere\.whl"):
            environment(tmp_path / "peer", str(tmp_path / "nowhere.whl"))


def test_the_last_line_is_the_last_that_says_something() -> None:
    assert last_line("one\n two \n\n") == "two"
    assert last_line("\n") == "no reason was told"
