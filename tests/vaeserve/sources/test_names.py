from hypothesis import given
from hypothesis import strategies as st

from vaeserve.printable import printable
from vaeserve.sources.names import quoted


@given(st.text())
def test_what_is_shown_is_one_line_that_prints(text: str) -> None:
    for said in (printable(text), quoted(text)):
        assert said.isprintable()
        said.encode("utf-8")


def test_what_is_shown_is_short_and_readable() -> None:
    assert printable("Größe/\udcff\n") == "Größe/\\udcff\\n"
    assert quoted("x" * 1000) == f"'{'x' * 57}...'"
