"""The verbs that send rows of data: encode, reconstruct. They send them over streams: see `streaming`.

What they need is imported once a verb is called with options that make sense, so that help and mistakes are answered at
once. Files are checked before anything is sent.
"""

import argparse
import sys
from typing import TYPE_CHECKING

from vaeserve.command.options import add_input_options, add_server_options, connect
from vaeserve.command.outputs import ResultFile, add_output_options, output_of
from vaeserve.command.parser import verb_parser

if TYPE_CHECKING:
    from vaeserve.sources.pictures import FittedRows


def encode(arguments: list[str]) -> int:
    """Encodes rows of an array, or images, on a server."""
    options, out = _encode_options(arguments)
    out.check()
    from vaeserve.command.inputs import open_input
    from vaeserve.command.streaming import joined, slices

    given = open_input(options.input, options.skip_bad)
    with connect(options) as client:
        model = client.get_model(options.model, options.version)
        data = given.rows(model.data, options.skip_bad)
        pieces = client.encode_stream(
            slices(data.rows, model),
            output=options.output,
            seed=options.seed,
            first_row=options.first_row,
            model=options.model,
            version=options.version,
        )
        encoded = joined(pieces, len(data.rows))
    out.write_arrays(
        latent=encoded.latent,
        log_variance=encoded.log_variance,
        fingerprint=encoded.fingerprint,
        seed=encoded.seed,
        first_row=None if encoded.seed is None else options.first_row,
        files=[str(path) for path in data.files] or None,
        rows=data.numbers,
    )
    _tell(out, "latents", data, encoded.seed, options.first_row)
    return 0


def _encode_options(arguments: list[str]) -> tuple[argparse.Namespace, ResultFile]:
    parser = verb_parser("encode", "Encodes rows of data on a server. The result knows which pair it came from.")
    add_server_options(parser)
    add_input_options(parser)
    parser.add_argument("--output", choices=("mean", "sample", "moments"), default="mean", help="default: mean")
    _add_draw_options(parser)
    add_output_options(parser, "latents, and what they came from (.npz)", "npz")
    options = parser.parse_args(arguments)
    _check_draw(parser, options, "output")
    return options, output_of(parser, options)


def reconstruct(arguments: list[str]) -> int:
    """Encodes rows, decodes them again, and writes how usual each is for the model."""
    options, out = _reconstruct_options(arguments)
    out.check()
    from vaeserve.command.inputs import open_input
    from vaeserve.command.scores import check_format, write_scores
    from vaeserve.command.streaming import joined, slices

    check_format(out)
    given = open_input(options.input, options.skip_bad)
    with connect(options) as client:
        model = client.get_model(options.model, options.version)
        data = given.rows(model.data, options.skip_bad)
        pieces = client.reconstruct_stream(
            slices(data.rows, model),
            latent=options.latent,
            seed=options.seed,
            first_row=options.first_row,
            model=options.model,
            version=options.version,
        )
        scored = joined(pieces, len(data.rows))
    write_scores(out, scored, [str(path) for path in data.files], options.first_row, data.numbers)
    _tell(out, "scores", data, scored.seed, options.first_row)
    return 0


def _reconstruct_options(arguments: list[str]) -> tuple[argparse.Namespace, ResultFile]:
    parser = verb_parser(
        "reconstruct",
        "Encodes rows of data on a server, decodes them again, and scores each: log-likelihood, KL and ELBO in nats, "
        "as far as the model has them, and the squared error.",
    )
    add_server_options(parser)
    add_input_options(parser)
    parser.add_argument("--latent", choices=("mean", "sample"), default="mean", help="which to decode; default: mean")
    _add_draw_options(parser)
    about = "a line for each row (.csv, .parquet), or arrays and the reconstructions (.npz)"
    add_output_options(parser, about, "csv", "npz", "parquet")
    options = parser.parse_args(arguments)
    _check_draw(parser, options, "latent")
    return options, output_of(parser, options)


def _add_draw_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, help="of a sample, 0 to 2^64 - 1; picked, and told, if not given")
    parser.add_argument("--first-row", type=int, default=0, metavar="ROW", help="number of a sample's first row")


def _check_draw(parser: argparse.ArgumentParser, options: argparse.Namespace, option: str) -> None:
    if getattr(options, option) != "sample" and (options.seed is not None or options.first_row):
        parser.error(f"--seed and --first-row are for --{option} sample")


def _tell(out: ResultFile, what: str, data: "FittedRows", seed: int | None, first_row: int) -> None:
    """Tells what was written, after a list on stderr of what was left out."""
    for note in data.notes:
        print(note, file=sys.stderr)
    if data.skipped:
        print(f"left out {len(data.skipped)}:", *data.skipped, sep="\n  ", file=sys.stderr)
    drawn = "" if seed is None else f", drawn with seed {seed} from row {first_row}"
    out.tell(f"{what} of {len(data.rows)} rows{drawn}")
