"""A one-row call on an idle server: its median beside a minimal server's and bare `session.run`.

python -m benchmarks.lone_call [--package digits]
"""

from benchmarks.harness import arguments, claim
from benchmarks.limits import DECODE, MINIMAL, SAMPLE, bares, beside_minimal
from benchmarks.packages import NAMES, package


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--package", choices=NAMES, default="digits")
    options = parser.parse_args()
    directory = package(options.package)
    loads = beside_minimal(directory, rows=1, callers=1, seconds=options.seconds, repeats=options.repeats)
    run = bares(directory, [1], 1.0, options.repeats)[1].p50_milliseconds
    print(f"session.run of one row: p50 {run:.3f} ms")
    for method in (DECODE, SAMPLE):
        for name in MINIMAL.values():
            ratio = loads[method].p50_milliseconds / (loads[name].p50_milliseconds + run)
            claim(f"p50, {method} over {name} + session.run", ratio, 1.25, 1.1)


if __name__ == "__main__":
    main()
