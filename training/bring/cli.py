"""The verb `vae package`."""

import argparse
from pathlib import Path

from training.bring.spec import parse_spec
from training.settings.creation import creation_time
from training.settings.resolve import read_settings_file
from training.settings.versions import VERSION_HELP, read_version
from vaeserve.command.parser import verb_parser
from vaeserve.files import read_array
from vaeserve.machine.collector import collector_paused
from vaeserve.package.directory import check_place
from vaeserve.runtime import prepare_onnxruntime


def package(arguments: list[str]) -> int:
    """Runs `vae package`.

    Returns:
        0 when the package was written; exits with 2 on a usage error.

    Raises:
        TrainingError: the files cannot be served, or contradict the spec.
        InvalidInput: the rows cannot be read.
        PackageError: the package's directory exists, or cannot be written.
        StartupError: there is not exactly one ONNX Runtime.
    """
    options = _parser().parse_args(arguments)
    check_place(options.out)
    spec = parse_spec(read_settings_file(options.spec), str(options.spec))
    if options.version is not None:
        spec = spec.model_copy(update={"version": options.version})
    creation_time()  # a wrong one is refused before any work
    prepare_onnxruntime("training,serving")
    with collector_paused():
        from training.bring.bring import package_files
        from training.run.report import closing

    proved = package_files(
        options.out,
        encoder=options.encoder,
        decoder=options.decoder,
        spec=spec,
        likelihood=options.likelihood,
        rows=None if options.rows is None else read_array(options.rows),
    )
    print(closing(proved.package, proved.parity, "the original graphs,"))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "package",
        "Packages ONNX graphs that were made elsewhere, if each row's answer repeats and depends on that row alone. "
        "SPEC.toml describes their inputs and outputs: see docs/bring-your-own.md.",
    )
    parser.add_argument("--encoder", type=Path, required=True, metavar="E.onnx", help="data -> mean, log_variance")
    parser.add_argument("--decoder", type=Path, required=True, metavar="D.onnx", help="latent -> expectation")
    parser.add_argument("--spec", type=Path, required=True, metavar="SPEC.toml", help="inputs and outputs")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the package's directory; it must not exist"
    )
    parser.add_argument(
        "--likelihood",
        type=Path,
        metavar="L.onnx",
        help="data, parameters -> log_likelihood, for a likelihood that is not built in",
    )
    parser.add_argument("--rows", type=Path, metavar="ROWS.npy", help=".npy file of real data to try the graphs on")
    parser.add_argument("--version", type=read_version, metavar="N", help=f"{VERSION_HELP} (default: the spec's)")
    return parser
