"""Prints tables of figures, and figures beside their targets."""

import math
from collections.abc import Mapping, Sequence

from benchmarks.harness import Load


def table(*header: str, rows: Sequence[Sequence[str | float]]) -> None:
    """Prints a table; numbers have at least three significant digits."""
    cells = [list(header), *([cell if isinstance(cell, str) else number(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for name, *others in cells:
        print("  ".join([name.ljust(widths[0]), *(c.rjust(w) for c, w in zip(others, widths[1:], strict=True))]))


def number(value: float) -> str:
    """Returns a number as text, with three significant digits and all digits before the point; `-` for nan."""
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def print_loads(loads: Mapping[str, Load], rows: int | Sequence[int]) -> None:
    """Prints one line for each side; `rows` is the rows per call."""
    each = [rows] * len(loads) if isinstance(rows, int) else rows
    lines = [
        (
            name,
            one.server_microseconds,
            one.server_microseconds / n,
            one.calls_a_second * n,
            *one[2:4],
            f"{one.steal:.1%}",
        )
        for (name, one), n in zip(loads.items(), each, strict=True)
    ]
    table("side", "server us/call", "us/row", "rows/s", "p50 ms", "p99 ms", "steal", rows=lines)


def claim(name: str, figure: float, must: float, reach: float | None = None, *, is_limit: bool = False) -> bool:
    """Prints a figure beside its target and its aim; a limit must not be exceeded.

    Returns:
        Whether the figure meets the target.
    """
    met = figure <= must if is_limit else figure >= must
    aim = "" if reach is None else f", reach for {reach:g}"
    print(
        f"{'   ' if met else '!! '}{name}: {figure:.4g} (must {'stay within' if is_limit else 'reach'} {must:g}{aim})",
        flush=True,
    )
    return met
