"""A one-row call on an idle server: its median beside a minimal server's and bare `session.run`.

python -m benchmarks.lone_call [--package digits]
"""

from benchmarks.harness import arguments
from benchmarks.limits import DECODE, MINIMAL, SAMPLE, beside_minimal, run_of
from benchmarks.packages import NAMES
from benchmarks.printing import claim


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--package", choices=NAMES, default="digits")
    options = parser.parse_args()
    loads = beside_minimal(options.package, rows=1, callers=1, seconds=options.seconds, repeats=options.repeats)
    run = loads[run_of(1)].p50_milliseconds
    for method in (DECODE, SAMPLE):
        for name in MINIMAL.values():
            ratio = loads[method].p50_milliseconds / (loads[name].p50_milliseconds + run)
            claim(f"p50, {method} over {name} + session.run", ratio, 1.25, 1.1, is_limit=True)


if __name__ == "__main__":
    main()
