"""What a user sees during a run: a bar on a terminal, below the lines of the table."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from vaeserve.command.bench.plan import BenchPlan
from vaeserve.command.bench.report import point_name

if TYPE_CHECKING:
    from vaeserve.command.bar import Bar


class BenchProgress:
    """Shows how far a run has come, if stdout is a terminal and tqdm is installed."""

    def __init__(self, plan: BenchPlan) -> None:
        self._plan = plan
        self._bar = _bar(plan)

    def show(self, number: int, passed_seconds: float) -> None:
        """Shows how far a point, counted from 0, has come."""
        if self._bar is None:
            return
        self._bar.desc = point_name(self._plan.points[number])
        self._bar.n = self._plan.point_seconds * number + min(passed_seconds, self._plan.point_seconds)
        self._bar.refresh()

    def print(self, text: str) -> None:
        """Prints a line above the bar."""
        if self._bar is not None:
            self._bar.clear()
        print(text, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()


def _bar(plan: BenchPlan) -> "Bar | None":
    if not sys.stdout.isatty():
        return None
    try:
        from vaeserve.command.bar import Bar, is_wide
    except ModuleNotFoundError:
        return None
    return Bar(
        total=plan.seconds,
        leave=False,
        disable=not is_wide(sys.stderr),
        dynamic_ncols=True,
        bar_format="{desc} |{bar}| {n:.0f} of {total:.0f} s",
    )
