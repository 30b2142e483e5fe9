"""Refusals: an option that a job cannot take -> one line that names it, and says what it must be."""

from typing import Any, Self

from pydantic import ValidationError

from vaeserve.errors import InvalidInput
from vaeserve.records import Record

_RENAMED = {"model_version": "version", "timeout_seconds": "timeout"}
_MUST_BE = {
    "greater_than_equal": "at least {ge}",
    "greater_than": "above {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "below {lt}",
    "literal_error": "{expected}",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
}
"""What a value must be, by pydantic's name for the problem, with the values of its context."""


class Options(Record):
    """Options of a job, which are refused by the names that the command gives them."""

    @classmethod
    def parse(cls, **asked: Any) -> Self:  # noqa: ANN401, checked here
        """Returns the options.

        Raises:
            InvalidInput: names the option that is wrong.
        """
        try:
            return cls(**asked)
        except ValidationError as exc:
            raise _refusal(exc) from exc


def option_of(name: str, verb: str = "") -> str:
    """Returns what the command line calls a setting."""
    if (name, verb) == ("output", "reconstruct"):
        name = "latent"
    return "the verb" if name == "verb" else f"--{_RENAMED.get(name, name).replace('_', '-')}"


def _refusal(exc: ValidationError) -> InvalidInput:
    """Returns the first of the problems that pydantic found, in the words of this project."""
    first = exc.errors(include_url=False)[0]
    must_be = _MUST_BE.get(first["type"])
    bounds = {name: _short(value) for name, value in first.get("ctx", {}).items()}
    text = first["msg"].lower() if must_be is None else f"must be {must_be.format(**bounds)}"
    return InvalidInput(option_of(str(first["loc"][0])), f"is {first['input']!r}, {text}")


def _short(value: object) -> object:
    """Returns a bound as a person writes it: 0, not 0.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
