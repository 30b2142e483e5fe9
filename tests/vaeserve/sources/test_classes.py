from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vaeserve.errors import InvalidInput
from vaeserve.sources.arrays import read_npz
from vaeserve.sources.classes import MOST_CHARACTERS, classes_of
from vaeserve.sources.column_roles import ColumnRoles
from vaeserve.sources.columns import read_csv
from vaeserve.sources.folder import read_folder
from vaeserve.sources.picture import Wanted

LONGEST, LONGER = "b" * MOST_CHARACTERS, "b" * (MOST_CHARACTERS + 1)
REFUSED = r"the name of class 'b{57}\.\.\.' has 129 characters, must have at most 128$"


def test_names_become_numbers_and_numbers_stay() -> None:
    assert classes_of(["b", "a", LONGEST], "x").names == ("a", "b", LONGEST)
    numbers = classes_of(np.array([7, 3]), "x")
    assert numbers.labels is not None
    assert (numbers.labels.tolist(), numbers.names) == ([7, 3], ())


def test_a_name_is_as_long_as_it_is_written() -> None:
    with pytest.raises(InvalidInput, match="has 400 characters"):
        classes_of(["a", "\1" * 100], "x")


def test_too_long_a_name_is_refused_wherever_it_comes_from(tmp_path: Path) -> None:
    for folder in ("a", LONGER):
        (tmp_path / "pictures" / folder).mkdir(parents=True)
        Image.new("L", (4, 4)).save(tmp_path / "pictures" / folder / "x.png")
    with pytest.raises(InvalidInput, match=rf"pictures: {REFUSED}"):
        read_folder(tmp_path / "pictures", Wanted(), False)
    np.savez(tmp_path / "x.npz", x=np.zeros((4, 3)), y=np.array(["a", "a", "a", LONGER]))
    with pytest.raises(InvalidInput, match=rf"x\.npz: {REFUSED}"):
        read_npz(tmp_path / "x.npz", False)
    (tmp_path / "x.csv").write_text(f"n,kind\n1,a\n2,{LONGER}\n3,a\n4,a\n")
    with pytest.raises(InvalidInput, match=rf"^--target: .*x\.csv: column 'kind': {REFUSED}"):
        read_csv(tmp_path / "x.csv", False, ColumnRoles(target="kind"))


def test_a_long_text_takes_no_room_in_other_rows(tmp_path: Path) -> None:
    long = "b" * 10**7
    path = tmp_path / "x.csv"
    path.write_text("n,kind\n" + "".join(f"{row * row},{row % 2}k\n" for row in range(20_000)) + f"3,{long}\n")
    with pytest.raises(InvalidInput, match="has 10000000 characters, must have at most 128"):
        read_csv(path, False, ColumnRoles(target="kind"))
    groups = read_csv(path, False, ColumnRoles(group="kind")).groups
    assert groups is not None
    assert set(groups.tolist()) == {0, 1, 2}
