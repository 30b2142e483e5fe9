"""The verb `vae import`."""

import argparse
import re
from pathlib import Path

from training.settings.creation import creation_time
from training.settings.precisions import add_precision, precision_of
from training.settings.versions import VERSION_HELP, read_version
from vaeserve.command.parser import picture_size, verb_parser
from vaeserve.errors import TrainingError
from vaeserve.machine.collector import collector_paused
from vaeserve.package.directory import check_place
from vaeserve.printable import printable
from vaeserve.runtime import prepare_onnxruntime

_TOLERANCES = 1e-6, 0.01
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def import_pair(arguments: list[str]) -> int:
    """Runs `vae import`.

    Returns:
        0 when the package was written; exits with 2 on a usage error.

    Raises:
        TrainingError: the folder holds no pair that is known, or it cannot be served.
        InvalidInput: the pictures cannot be read.
        PackageError: the package's directory exists, or cannot be written.
        StartupError: there is not exactly one ONNX Runtime.
    """
    options = _parser().parse_args(arguments)
    precision = precision_of(options.precision)
    check_place(options.out)
    name = options.name or _name_of(options.folder)
    creation_time()  # a wrong one is refused before any work
    prepare_onnxruntime("training,serving")
    with collector_paused():
        from training.imports.importing import Wishes, import_folder
        from training.run.report import closing

    wishes = Wishes(
        name=name,
        version=options.version,
        latents=options.latents,
        minimum=options.minimum,
        maximum=options.maximum,
        default=options.default_size,
        rows=options.rows,
        fit_prior=options.fit_prior,
        precision=precision,
        tolerance=options.tolerance,
    )
    proved = import_folder(options.out, options.folder, wishes)
    print(closing(proved.package, proved.parity, "the original"))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "import",
        "Packages an autoencoder of image diffusion (AutoencoderKL, AutoencoderTiny, AutoencoderDC or "
        "AutoencoderKLFlux2) from a folder of diffusers, or from ONNX graphs as Optimum writes them. The package's "
        "pictures have any size. Nothing is downloaded. See docs/importing.md.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="that of the autoencoder, or of a whole pipeline")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the package's directory; it must not exist"
    )
    parser.add_argument("--name", type=_name, metavar="NAME", help="the model's name (default: the folder's)")
    parser.add_argument("--version", type=read_version, default=1, metavar="N", help=f"{VERSION_HELP} (default: 1)")
    parser.add_argument(
        "--latents",
        choices=("scaled", "raw"),
        default="scaled",
        help="scaled as its pipeline scales them for the diffusion model, or raw (default: %(default)s)",
    )
    parser.add_argument("--minimum", type=_side, metavar="PIXELS", help="minimum of a picture's sides (default: 64)")
    parser.add_argument("--maximum", type=_side, metavar="PIXELS", help="maximum of a picture's sides (default: 4096)")
    parser.add_argument(
        "--default-size",
        type=picture_size,
        metavar="WIDTHxHEIGHT",
        help="size that Sample draws if a call names none (default: a square of the side that the pair was trained on)",
    )
    _add_trial(parser)
    add_precision(parser)
    return parser


def _add_trial(parser: argparse.ArgumentParser) -> None:
    """Adds what the pair is tried on, and how closely graphs must agree with it."""
    parser.add_argument(
        "--rows", type=Path, metavar="PICTURES", help="folder of pictures or .npy file to try the pair on"
    )
    parser.add_argument(
        "--fit-prior",
        type=Path,
        metavar="PICTURES",
        help="folder of pictures or .npy file to fit a Gaussian for each channel of the latent to; Sample then draws "
        "textures, not pictures",
    )
    parser.add_argument(
        "--tolerance",
        type=_tolerance,
        default=1e-3,
        metavar="T",
        help="maximum difference between the graphs' answers and those of diffusers, over the range of pictures; the "
        "relative one is ten times that (default: %(default)g)",
    )


def _tolerance(text: str) -> float:
    try:
        tolerance = float(text)
    except ValueError:
        tolerance = 0.0
    if not _TOLERANCES[0] <= tolerance <= _TOLERANCES[1]:
        raise argparse.ArgumentTypeError(f"must lie in [{_TOLERANCES[0]:g}, {_TOLERANCES[1]:g}], not {text!r}")
    return tolerance


def _side(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) <= 65536 and len(text) <= 5):
        raise argparse.ArgumentTypeError(f"must be a number of pixels, not {text!r}")
    return int(text)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} cannot name a model: letters, digits, dots, - and _ can")
    return text


def _name_of(folder: Path) -> str:
    """Returns a model's name from a folder's; from that of the pipeline where the folder is only called vae."""
    place = folder.resolve()
    name = place.parent.name if place.name == "vae" else place.name
    if not _NAME.fullmatch(name):
        raise TrainingError(f"{printable(name)}: cannot name a model: choose a name by --name")
    return name
