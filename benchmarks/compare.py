"""Two checkouts of this project side by side: runs the scripts of both by turns, and prints ratios of medians.

    python -m benchmarks.compare OLD_CHECKOUT NEW_CHECKOUT small_calls lone_call --rounds 5

It reads the tables and claims that the scripts print, so it works with old commits as they are. The .venv of a
checkout runs its scripts; without one, the Python that runs this script does. Columns of figures are matched by table,
side and title.
Look at the minimal servers and at `session.run` first: they are the same on both sides and show the noise.
"""

import argparse
import math
import re
import statistics
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.printing import table

CLAIM = re.compile(r"^(?:!! |   )(?P<name>\S.*): (?P<figure>[-+.\de]+|nan|inf) \(must ")
NUMBER = re.compile(r"[-+]?[\d,]*\.?\d+(?:e[-+]?\d+)?%?")
GAP = re.compile(r"\s{2,}")


class Printed(NamedTuple):
    """One figure that a script printed."""

    name: str
    value: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, metavar="OLD_CHECKOUT")
    parser.add_argument("new", type=Path, metavar="NEW_CHECKOUT")
    parser.add_argument("figures", nargs="+", metavar="FIGURE", help="names of scripts, for example small_calls")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of every script in each checkout")
    parser.add_argument("--within", type=float, default=0.03, metavar="SHARE", help="larger changes are marked")
    parser.add_argument("--only", type=re.compile, default="", metavar="REGEX", help="print only figures that match")
    options, others = parser.parse_known_args()  # unknown options go to the scripts: --seconds 1 --repeats 1
    for figure in options.figures:
        old, new = compare(options.old, options.new, figure, options.rounds, others)
        print(f"== {figure}, medians of {options.rounds} rounds")
        lines = [line for line in rows(old, new, options.within) if re.search(options.only, line[0])]
        table("figure", "old", "new", "new / old", "", rows=lines)


def compare(
    old: Path, new: Path, figure: str, rounds: int, options: Sequence[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """Returns the medians of both checkouts by name. They take turns at going first."""
    values: dict[Path, dict[str, list[float]]] = {old: defaultdict(list), new: defaultdict(list)}
    for number in range(rounds):
        for checkout in (old, new) if number % 2 == 0 else (new, old):
            for printed in figures_of(run(checkout, figure, options)):
                values[checkout][printed.name].append(printed.value)
    medians = [{name: statistics.median(every) for name, every in values[side].items()} for side in (old, new)]
    return medians[0], medians[1]


def run(checkout: Path, figure: str, options: Sequence[str]) -> str:
    """Returns the output of a script of a checkout; exits if it fails."""
    own = checkout.absolute() / ".venv" / "bin" / "python"
    python = str(own) if own.exists() else sys.executable
    done = subprocess.run(
        [python, "-m", f"benchmarks.{figure}", *options], cwd=checkout, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{checkout}: {figure} exited with {done.returncode}")
    return done.stdout


def figures_of(text: str) -> Iterator[Printed]:
    """Yields every number in tables and every claim that a script printed; repeated names are numbered."""
    counts: Counter[str] = Counter()
    for name, value in _figures(text):
        counts[name] += 1
        yield Printed(name if counts[name] == 1 else f"{name} #{counts[name]}", value)


def _figures(text: str) -> Iterator[Printed]:
    header: list[str] = []
    for line in text.splitlines():
        cells = GAP.split(line.strip())
        if claim := CLAIM.match(line):
            header = []
            yield Printed(claim["name"], float(claim["figure"]))
        elif len(cells) < 2:
            header = []
        elif not any(NUMBER.fullmatch(cell) for cell in cells[1:]):
            header = cells
        elif len(header) == len(cells):
            for title, cell in zip(header[1:], cells[1:], strict=True):
                if NUMBER.fullmatch(cell):
                    yield Printed(f"{cells[0]}, {title}", _number(cell))


def rows(old: dict[str, float], new: dict[str, float], within: float) -> Iterator[tuple[str, float, float, float, str]]:
    """Yields one line for each figure; a figure that one checkout does not print has no ratio."""
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name, math.nan), new.get(name, math.nan)
        ratio = after / before if before else math.nan
        yield name, before, after, ratio, "!!" if abs(ratio - 1) > within else ""


def _number(cell: str) -> float:
    plain = float(cell.replace(",", "").rstrip("%"))
    return plain / 100 if cell.endswith("%") else plain


if __name__ == "__main__":
    main()
