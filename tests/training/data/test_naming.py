import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from training.data.naming import fit_name
from vaeserve.package.contents import Name


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
