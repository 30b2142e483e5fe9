import pytest

from vaeserve.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words, é and 変", "plain words, é and 変"),
        ("two\nlines", "two\\nlines"),
        ("\x1b[2Jcleared", "\\x1b[2Jcleared"),
        ("cpu\u202e", "cpu\\u202e"),
        (7, "7"),
    ],
)
def test_what_would_steer_a_terminal_is_written_out(text: object, shown: str) -> None:
    assert printable(text) == shown
