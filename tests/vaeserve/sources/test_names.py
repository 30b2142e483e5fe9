import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from vaeserve.package.manifest import Name
from vaeserve.sources.names import fit_name, quoted, shown


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("faces", "faces"),
        ("Größe und Gewicht", "Groe-und-Gewicht"),
        (".hidden", "hidden"),
        ("2_annthyroid", "2_annthyroid"),
        ("日本", "data"),
        ("", "data"),
        ("a" * 300, "a" * 128),
    ],
)
def test_packages_are_named_after_files(file: str, name: str) -> None:
    assert fit_name(file) == name


@given(st.text(max_size=300))
def test_every_name_is_fit(text: str) -> None:
    TypeAdapter(Name).validate_python(fit_name(text))


@given(st.text())
def test_what_is_shown_is_one_line_that_prints(text: str) -> None:
    for said in (shown(text), quoted(text)):
        assert said.isprintable()
        said.encode("utf-8")


def test_what_is_shown_is_short_and_readable() -> None:
    assert shown("Größe/\udcff\n") == "Größe/\\udcff\\n"
    assert quoted("x" * 1000) == f"'{'x' * 57}...'"
