"""One-row calls of a small model, 64 in flight: what serving costs beside answering the same bytes with no model.

python -m benchmarks.small_calls [--package digits] [--callers 64]
"""

from benchmarks.harness import arguments
from benchmarks.limits import DECODE, MINIMAL, SAMPLE, beside_minimal
from benchmarks.packages import NAMES
from benchmarks.printing import claim


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--package", choices=NAMES, default="digits")
    parser.add_argument("--callers", type=int, default=64)
    options = parser.parse_args()
    loads = beside_minimal(
        options.package, rows=1, callers=options.callers, seconds=options.seconds, repeats=options.repeats
    )
    for method in (DECODE, SAMPLE):
        for name in MINIMAL.values():
            ratio = loads[name].server_microseconds / loads[method].server_microseconds
            claim(f"server us a call, {name} over {method}", ratio, 0.65, 0.8)


if __name__ == "__main__":
    main()
