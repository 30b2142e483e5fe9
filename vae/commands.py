"""The verbs that send rows of data: encode, reconstruct. They send them as jobs: see vae/jobs.py.

What they need is imported once a verb is called with options that make sense, so that help and mistakes are answered at
once. Files are checked before anything is sent.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from vae.options import add_input_options, add_server_options, connect
from vae.outputs import STANDARD, Output, add_output_options, output_of, parse_standard_input, read_standard_input
from vae.parser import verb_parser

if TYPE_CHECKING:
    from vae.description import Model
    from vae.files import AnyArray
    from vae.tensors import Array

    Images = list[tuple[Path, bytes]]


def encode(arguments: list[str]) -> int:
    """Encodes rows of an array, or images, on a server."""
    options, out = _encode_options(arguments)
    out.check()
    data, images = _read_data(options.input)
    from vae.jobs import joined, slices

    with connect(options) as client:
        model = client.get_model(options.model, options.version)
        pieces = client.encode_stream(
            slices(_fit(data, images, model), model),
            output=options.output,
            seed=options.seed,
            first_row=options.first_row,
            model=options.model,
            version=options.version,
        )
        encoded = joined(pieces, len(data))
    out.write_arrays(
        latent=encoded.latent,
        log_variance=encoded.log_variance,
        fingerprint=encoded.fingerprint,
        seed=encoded.seed,
        first_row=None if encoded.seed is None else options.first_row,
        files=[str(path) for path, _ in images] or None,
    )
    drawn = "" if encoded.seed is None else f", drawn with seed {encoded.seed} from row {options.first_row}"
    out.tell(f"latents of {len(data)} rows{drawn}")
    return 0


def _encode_options(arguments: list[str]) -> tuple[argparse.Namespace, Output]:
    parser = verb_parser("encode", "Encodes rows of data on a server. The result knows which pair it came from.")
    add_server_options(parser)
    add_input_options(parser)
    parser.add_argument("--output", choices=("mean", "sample", "moments"), default="mean", help="default: mean")
    parser.add_argument("--seed", type=int, help="of a sample, 0 to 2^64 - 1; picked, and told, if not given")
    parser.add_argument("--first-row", type=int, default=0, metavar="ROW", help="number of a sample's first row")
    add_output_options(parser, "latents, and what they came from (.npz)", "npz")
    options = parser.parse_args(arguments)
    _check_draw(parser, options, "output")
    return options, output_of(parser, options)


def reconstruct(arguments: list[str]) -> int:
    """Encodes rows, decodes them again, and writes how usual each is for the model."""
    options, out = _reconstruct_options(arguments)
    out.check()
    from vae import jobs
    from vae.scores import check_format, write_scores

    check_format(out)
    data, images = _read_data(options.input)
    with connect(options) as client:
        model = client.get_model(options.model, options.version)
        pieces = jobs.reconstruct(
            client,
            jobs.slices(_fit(data, images, model), model),
            latent=options.latent,
            seed=options.seed,
            first_row=options.first_row,
            model=options.model,
            version=options.version,
        )
        scored = jobs.joined(pieces, len(data))
    write_scores(out, scored, [str(path) for path, _ in images], options.first_row)
    drawn = "" if scored.seed is None else f", drawn with seed {scored.seed} from row {options.first_row}"
    out.tell(f"scores of {len(data)} rows{drawn}")
    return 0


def _reconstruct_options(arguments: list[str]) -> tuple[argparse.Namespace, Output]:
    parser = verb_parser(
        "reconstruct",
        "Encodes rows of data on a server, decodes them again, and scores each: log-likelihood, KL and ELBO in nats, "
        "as far as the model has them, and the squared error.",
    )
    add_server_options(parser)
    add_input_options(parser)
    parser.add_argument("--latent", choices=("mean", "sample"), default="mean", help="which to decode; default: mean")
    parser.add_argument("--seed", type=int, help="of a sample, 0 to 2^64 - 1; picked, and told, if not given")
    parser.add_argument("--first-row", type=int, default=0, metavar="ROW", help="number of a sample's first row")
    about = "a line for each row (.csv, .parquet), or arrays and the reconstructions (.npz)"
    add_output_options(parser, about, "csv", "npz", "parquet")
    options = parser.parse_args(arguments)
    _check_draw(parser, options, "latent")
    return options, output_of(parser, options)


def _check_draw(parser: argparse.ArgumentParser, options: argparse.Namespace, option: str) -> None:
    if getattr(options, option) != "sample" and (options.seed is not None or options.first_row):
        parser.error(f"--seed and --first-row are for --{option} sample")


def _read_data(paths: list[Path]) -> "tuple[AnyArray | list[bytes], Images]":
    """Returns rows of data; and the files that they came from if they are images."""
    from vae.files import NPY_MAGIC, parse_array, read_array, read_images

    if paths == [STANDARD]:
        content = read_standard_input()
        if content.startswith(NPY_MAGIC):
            return parse_standard_input(content, parse_array), []
        return [content], [(Path("standard input"), content)]
    if len(paths) == 1 and paths[0].suffix == ".npy":
        return read_array(paths[0]), []
    images = read_images(paths)
    return [image for _, image in images], images


def _fit(data: "AnyArray | list[bytes]", images: "Images", model: "Model") -> "Array | list[bytes]":
    """Returns rows that fit the model. Names the file or the row of all that does not, before any is sent."""
    if isinstance(data, list):
        from vae.images import check_image, takes_images

        for path, image in images if takes_images(model.data) else ():
            check_image(image, str(path), model.data)
        return data
    from vae.tensors import as_rows, fit_data

    return fit_data(as_rows(data, "data"), "data", model.data)
