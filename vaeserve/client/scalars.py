"""A caller's single values, checked before anything is sent. Each returned value fits its field."""

import operator
from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from vaeserve.errors import InvalidInput

Choice = TypeVar("Choice")


def text(field: str, value: str) -> str:
    """Returns text. Raises InvalidInput if the value is not text, or if UTF-8 cannot encode it."""
    if not isinstance(value, str):
        raise InvalidInput(field, f"is {value!r}, must be text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInput(field, f"is {value!a}, which UTF-8 cannot encode") from None
    return value


def integer(field: str, value: int, end: int, minimum: int = 0) -> int:
    """Returns an integer in [minimum, end). Raises InvalidInput if the value is not one."""
    try:
        number = operator.index(value)
    except TypeError:
        raise InvalidInput(field, f"is {value!r}, must be an integer") from None
    if not minimum <= number < end:
        raise InvalidInput(field, f"is {number}, must lie in [{minimum}, {end - 1}]")
    return number


def positive(field: str, value: float, maximum: float) -> float:
    """Returns a number in (0, maximum], also above 0 as a float32. Raises InvalidInput if the value is not one."""
    if not isinstance(value, int | float | np.integer | np.floating):
        raise InvalidInput(field, f"is {value!r}, must be a number")
    if not (0 < value <= maximum and np.float32(value) > 0):
        raise InvalidInput(field, f"is {value}, must lie in (0, {maximum:g}]")
    return float(value)


def choice(field: str, value: str, choices: Mapping[str, Choice]) -> Choice:
    """Returns the meaning of a word. Raises InvalidInput if the word is not one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidInput(field, f"is {value!r}, must be one of {', '.join(choices)}")
    return choices[value]
