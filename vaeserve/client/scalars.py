"""A caller's single values, checked before anything is sent: what comes out of here fits its field."""

import operator
from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from vaeserve.errors import InvalidInput

Choice = TypeVar("Choice")


def text(field: str, value: str) -> str:
    """Returns text. Raises InvalidInput if it is none, or if UTF-8 cannot hold it."""
    if not isinstance(value, str):
        raise InvalidInput(field, f"is {value!r}, must be text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInput(field, f"is {value!a}, which UTF-8 cannot hold") from None
    return value


def integer(field: str, value: int, end: int, least: int = 0) -> int:
    """Returns an integer in [least, end). Raises InvalidInput if it is none."""
    try:
        number = operator.index(value)
    except TypeError:
        raise InvalidInput(field, f"is {value!r}, must be an integer") from None
    if not least <= number < end:
        raise InvalidInput(field, f"is {number}, must lie in [{least}, {end - 1}]")
    return number


def positive(field: str, value: float, most: float) -> float:
    """Returns a number in (0, most], also where it travels as a float32. Raises InvalidInput if it is none."""
    if not isinstance(value, int | float | np.integer | np.floating):
        raise InvalidInput(field, f"is {value!r}, must be a number")
    if not (0 < value <= most and np.float32(value) > 0):
        raise InvalidInput(field, f"is {value}, must lie in (0, {most:g}]")
    return float(value)


def choice(field: str, value: str, choices: Mapping[str, Choice]) -> Choice:
    """Returns what a word stands for. Raises InvalidInput if it is none of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidInput(field, f"is {value!r}, must be one of {', '.join(choices)}")
    return choices[value]
