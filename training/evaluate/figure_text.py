"""Figures as text: a number, a line of a table, lines that belong together."""

from typing import NamedTuple

from training.evaluate.figures import Estimate

NONE = "-"


class Figure(NamedTuple):
    """One line of a table."""

    label: str
    value: str
    remark: str = ""


class Section(NamedTuple):
    """Figures that belong together."""

    title: str
    figures: tuple[Figure, ...]


def number(value: float | None, digits: int = 2) -> str:
    """Returns a figure as text; "-" where there is none."""
    return NONE if value is None else f"{value:.{digits}f}"


def share(value: float | None) -> str:
    """Returns a share as text; "-" where there is none."""
    return NONE if value is None else f"{value:.1%}"


def estimate(value: Estimate | None) -> str:
    """Returns a mean and its standard error as text; "-" where there is none."""
    return NONE if value is None else f"{value.value:.2f} +- {value.standard_error:.2f}"
