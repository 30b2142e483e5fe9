"""64-row calls of a multilayer perceptron on one core: calls/s beside a minimal server and bare `session.run` together.

    python -m benchmarks.mlp_calls [--callers 8]

Both sides are computed from processor time: a host that takes the cores away takes them from either.
"""

from benchmarks.harness import arguments
from benchmarks.limits import DECODE, MINIMAL, SAMPLE, beside_minimal, run_of
from benchmarks.printing import claim

ROWS = 64


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--callers", type=int, default=8)
    options = parser.parse_args()
    loads = beside_minimal("mlp", rows=ROWS, callers=options.callers, seconds=options.seconds, repeats=options.repeats)
    run = loads[run_of(ROWS)].server_microseconds
    for method in (DECODE, SAMPLE):
        for name in MINIMAL.values():
            ratio = (loads[name].server_microseconds + run) / loads[method].server_microseconds
            claim(f"calls/s, {method} over 1 / ({name} + session.run)", ratio, 0.85, 0.95)


if __name__ == "__main__":
    main()
