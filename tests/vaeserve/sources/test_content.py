import pytest

from vaeserve.errors import InvalidInput
from vaeserve.sources.content import describe_rows, images_spec, refuse_too_large, room_for, table_spec


def test_rows_are_described_in_words() -> None:
    assert describe_rows(3, images_spec((8, 9, 1))) == "3 images of 9 x 8 pixels in grey"
    assert describe_rows(3, images_spec((8, 9, 3))) == "3 images of 9 x 8 pixels in colour"
    assert describe_rows(3, images_spec((8, 9, 4))) == "3 images of 9 x 8 pixels in 4 channels"
    assert describe_rows(3, table_spec(tuple(range(21)), 1.0)) == "3 rows of 21 numbers"


def test_no_more_memory_is_asked_for_than_the_machine_has() -> None:
    assert room_for((2, 3), "uint8", "x").shape == (2, 3)
    with pytest.raises(InvalidInput, match=r"^x: needs 931322574\.6 GiB of memory, this machine has [0-9.]+ GiB$"):
        room_for((10**6, 10**6, 10**6), "uint8", "x")
    with pytest.raises(InvalidInput, match=r"^x\\n: needs"):
        refuse_too_large(2**60, "x\n")
