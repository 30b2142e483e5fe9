"""The verb `vae tune`: measures how a package is best run on this machine, and keeps it for `vae serve`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vaeserve.command.parser import verb_parser

if TYPE_CHECKING:
    from serving.models.measuring import Measurement

_ROUNDS = 1000  # more than time allows


def tune(arguments: list[str]) -> int:
    """Measures a package's graphs with several numbers of threads and batch sizes, and caches the best combination.

    Raises:
        OSError: the cache cannot be written.
        PackageError: the package is damaged.
        StartupError: a setting is wrong, or ONNX Runtime or the provider is not available.
    """
    parser = verb_parser(
        "tune",
        "Measures how a model is best run on this machine, and keeps it for `vae serve`.",
        "VAE_PROVIDER and VAE_TUNING_CACHE count here as they do for `vae serve`.",
    )
    parser.add_argument("package", metavar="PACKAGE", help="the model package")
    parser.add_argument("--provider", choices=("auto", "cpu", "cuda"), help="the same as for `vae serve`")
    parser.add_argument("--tuning-cache", metavar="DIR", help="where to keep it, the same as for `vae serve`")
    parser.add_argument("--seconds", type=float, default=10.0, help="time to measure for (default %(default)g)")
    flags = vars(parser.parse_args(arguments))
    seconds: float = flags.pop("seconds")
    from serving.models.execution import TuningPlace, check_cache, remember
    from serving.models.loading import OpenedGraphs
    from serving.models.measuring import cheapest, measure, thread_counts
    from serving.settings import read_settings
    from vaeserve.package.directory import ModelPackage

    settings = read_settings({name: value for name, value in flags.items() if value is not None})
    check_cache(settings.tuning_cache)
    package = ModelPackage.open(settings.package)
    graphs = OpenedGraphs(package, settings.provider)
    place = TuningPlace.here(package.manifest.fingerprint, graphs.provider)
    points = measure(graphs.open_runner, thread_counts(place.cpus), place.cpus, seconds, rounds=_ROUNDS)
    chosen = cheapest(points)
    _show(points, chosen)
    path = remember(place, chosen, settings.tuning_cache)
    print(f"kept in {path}; measured on {graphs.provider} with {place.cpus} processor{'s' * (place.cpus > 1)}")
    return 0


def _show(points: "Sequence[Measurement]", chosen: "Measurement") -> None:
    """Prints what each combination costs to encode and decode a row, and marks what is best."""
    print("executors  threads  rows a batch  us of processor a row    rows/s  ms a batch")
    for point in sorted(points):
        mark = "  <- best" if point == chosen else ""
        print(
            f"{point.executors:9}  {point.threads:7}  {point.batch_rows:12}  {point.processor_seconds * 1e6:21.1f}"
            f"  {1 / point.seconds:8.0f}  {point.batch_seconds * 1e3:10.2f}{mark}"
        )
