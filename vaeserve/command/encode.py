"""The verb `vae encode`: rows of data -> latents."""

import argparse

from vaeserve.command.options import (
    add_draw_options,
    add_fit_option,
    add_input_options,
    add_server_options,
    check_draw,
    connect,
    slips_of,
)
from vaeserve.command.outputs import ResultFile, add_output_options, output_of, places_array, tell_rows
from vaeserve.command.parser import verb_parser


def encode(arguments: list[str]) -> int:
    """Encodes rows of an array, or images, on a server."""
    options, out = _encode_options(arguments)
    out.check(*options.input)
    from vaeserve.client.picture_sizes import size_of_data
    from vaeserve.command.inputs import open_input
    from vaeserve.command.streaming import joined, slices

    source = open_input(options.input, options.skip_bad)
    with connect(options) as client:
        model = client.get_model(options.model, options.version)
        data = source.rows(model.data, options.skip_bad, options.fit)
        pieces = client.encode_stream(
            slices(data.rows, model, size_of_data(data.rows, "data", options.fit, model)),
            fit=options.fit,
            output=options.output,
            seed=options.seed,
            first_row=options.first_row,
            model=options.model,
            version=options.version,
        )
        encoded = joined(pieces, len(data.rows))
    out.write_arrays(
        latent=encoded.latent if encoded.codes is None else None,
        codes=encoded.codes,
        log_variance=encoded.log_variance,
        fingerprint=encoded.fingerprint,
        seed=encoded.seed,
        first_row=None if encoded.seed is None else options.first_row,
        files=[str(path) for path in data.files] or None,
        rows=data.numbers,
        places=places_array(encoded.places),
    )
    tell_rows(out, "latents" if encoded.codes is None else "codes", data, encoded.seed, options.first_row)
    return 0


def _encode_options(arguments: list[str]) -> tuple[argparse.Namespace, ResultFile]:
    parser = verb_parser(
        "encode",
        "Encodes rows of data on a server. The result holds the fingerprint of the model that encoded it.",
        slips=slips_of("encode"),
    )
    add_server_options(parser)
    add_input_options(parser)
    add_fit_option(parser)
    parser.add_argument(
        "--output",
        choices=("mean", "sample", "moments", "codes"),
        default="mean",
        help="the posterior's mean, a sample from it, or its mean and log-variance; or codes; default: mean",
    )
    add_draw_options(parser)
    add_output_options(parser, "latents, with the fingerprint of their model (.npz)", "npz")
    options = parser.parse_args(arguments)
    check_draw(parser, options, "output")
    return options, output_of(parser, options)
