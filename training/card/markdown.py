"""Pieces of Markdown: paragraphs that fit a terminal, list points, and escaped text."""

import json
import textwrap

from training.card.about import SettingValue

_WIDTH = 100  # maximum number of characters in a line


def wrapped(text: str, indent: str = "") -> str:
    """Returns a paragraph, broken into lines. Lines after the first are indented."""
    return textwrap.fill(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def point(text: str) -> str:
    """Returns a point of a list."""
    return wrapped(f"- {text}", indent="  ")


def escaped(text: str) -> str:
    """Returns a text as one line that Markdown and HTML leave unchanged."""
    line = " ".join(text.split())
    for character in "\\`*_<[":
        line = line.replace(character, f"\\{character}")
    return line


def cell(text: str) -> str:
    """Returns a text as one cell of a table, with bars escaped."""
    return escaped(text).replace("|", "\\|")


def line_of_toml(key: str, value: SettingValue) -> str:
    """Returns a setting as a line of TOML."""
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"
