"""Option values: the text of an option -> a number, or a list of numbers, within its range."""

import argparse

_MAXIMUM_CALLS = 10_000  # in flight
_MAXIMUM_PROCESSES = 64
_MAXIMUM_RATE = 1e6
_DAY_SECONDS = 86_400.0


def call_counts(text: str) -> list[int]:
    """Returns numbers of calls in flight."""
    return [call_count(part) for part in text.split(",")]


def call_count(text: str) -> int:
    """Returns a number of calls in flight."""
    return _integer(text, 1, _MAXIMUM_CALLS)


def rates(text: str) -> list[float]:
    """Returns rates, in calls per second."""
    return [_number(part, _MAXIMUM_RATE) for part in text.split(",")]


def rows(text: str) -> list[int]:
    """Returns numbers of rows."""
    return [_integer(part, 1, 2**31 - 1) for part in text.split(",")]


def seconds(text: str) -> float:
    """Returns a time of up to a day."""
    return _number(text, _DAY_SECONDS)


def seconds_or_zero(text: str) -> float:
    """Returns a time of up to a day, which may be 0."""
    return 0.0 if text == "0" else seconds(text)


def process_count(text: str) -> int:
    """Returns a number of processes."""
    return _integer(text, 1, _MAXIMUM_PROCESSES)


def seed(text: str) -> int:
    """Returns a seed."""
    return _integer(text, 0, 2**64 - 1)


def _integer(text: str, minimum: int, maximum: int) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer") from None
    if not minimum <= number <= maximum:
        raise argparse.ArgumentTypeError(f"{number} is not in [{minimum}, {maximum}]")
    return number


def _number(text: str, maximum: float) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 < number <= maximum:
        raise argparse.ArgumentTypeError(f"{number:g} is not in (0, {maximum:g}]")
    return number
