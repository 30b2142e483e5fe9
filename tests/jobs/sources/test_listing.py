"""The files of a source: their names, their order, and that they are of one kind."""

from pathlib import Path

import pytest

from jobs.sources.listing import Listing
from vaeserve.errors import InvalidInput


def _touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"\x89PNG\r\n\x1a\n" if "picture" in name else b"text")
    return folder


def test_what_is_no_row_is_passed_over(tmp_path: Path) -> None:
    folder = _touch(tmp_path, "b.npy", "a/1.npz", "README.md", "a/notes", "t10k-images-idx3-ubyte.gz")
    assert Listing([str(folder)]).kind == "arrays"
    assert [*Listing([str(folder)]).names()] == ["a/1.npz", "b.npy", "t10k-images-idx3-ubyte.gz"]


def test_a_table_among_pictures_is_about_them_and_alone_it_is_rows(tmp_path: Path) -> None:
    folder = _touch(tmp_path, "0.csv", "labels.csv", "picture")
    assert [*Listing([str(folder)]).names()] == ["picture"]
    (folder / "picture").unlink()
    assert [*Listing([str(folder)]).names()] == ["0.csv", "labels.csv"]


def test_files_of_two_kinds_name_both(tmp_path: Path) -> None:
    folder = _touch(tmp_path, "a.npy", "b.parquet", "c.npy")
    names = Listing([str(folder)]).names()
    assert next(names) == "a.npy"
    with pytest.raises(InvalidInput, match=r"b.parquet: is a table, a.npy is an array: give files of one kind"):
        next(names)


def test_names_begin_with_the_last_part_of_their_address_where_there_are_several(tmp_path: Path) -> None:
    _touch(tmp_path, "x/2/b.npy", "y/1/a.npy", "0.npy")
    addresses = [str(tmp_path / name) for name in ("x/2", "y/1", "0.npy")]
    listing = Listing(addresses)
    assert [*listing.names()] == ["0.npy", "1/a.npy", "2/b.npy"]
    assert listing.called("1/a.npy") == str(tmp_path / "y" / "1" / "a.npy")
    assert listing.called("0.npy") == addresses[2]
    with listing.open("2/b.npy") as file:
        assert file.read() == b"text"


def test_two_addresses_of_one_name_are_refused(tmp_path: Path) -> None:
    _touch(tmp_path, "x/1/a.npy", "y/1/a.npy")
    with pytest.raises(InvalidInput, match=r"y/1/: ends in '1', as .*x/1 does: rename one"):
        Listing([f"{tmp_path}/x/1", f"{tmp_path}/y/1/"])


def test_this_folder_goes_by_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _touch(tmp_path, "here/a.npy", "b.npy")
    monkeypatch.chdir(tmp_path / "here")
    assert [*Listing([".", str(tmp_path / "b.npy")]).names()] == ["b.npy", "here/a.npy"]


@pytest.mark.parametrize(
    ("addresses", "line"),
    [
        ([], "source: name at least one folder or file"),
        (["empty"], "empty: holds nothing to read: pictures"),
        (["text.txt"], "text.txt: is not of a kind that can be read: pictures"),
        (["none"], "none: cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_listed_is_one_line(tmp_path: Path, addresses: list[str], line: str) -> None:
    (tmp_path / "empty").mkdir()
    _touch(tmp_path, "text.txt")
    with pytest.raises(InvalidInput, match=line):
        list(Listing([str(tmp_path / address) for address in addresses]).names())
