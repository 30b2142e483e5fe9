import tomllib

import pytest

from training.card.about import SettingValue
from training.card.markdown import cell, escaped, line_of_toml, point, wrapped


def test_a_paragraph_fits_a_terminal_and_breaks_no_word() -> None:
    text = wrapped("a-long-word " * 30)
    assert max(map(len, text.splitlines())) <= 100
    assert set(text.split()) == {"a-long-word"}


def test_a_point_is_indented_where_it_goes_on() -> None:
    first, *others = point("word " * 40).splitlines()
    assert first.startswith("- word")
    assert all(line.startswith("  word") for line in others)


def test_characters_of_markdown_mean_themselves() -> None:
    assert escaped("a_b *c*\n<b> [d] `e`") == "a\\_b \\*c\\* \\<b> \\[d] \\`e\\`"
    assert cell("a|b") == "a\\|b"


@pytest.mark.parametrize("value", [3, 0.5, 1e-05, True, 'a "quoted" \\ word', (16, 8), ("a", 'b "c"')])
def test_a_setting_can_be_read_as_toml(value: SettingValue) -> None:
    expected = list(value) if isinstance(value, tuple) else value
    assert tomllib.loads(line_of_toml("key", value)) == {"key": expected}
