"""The verb `vae reconstruct`: rows of data -> how usual each is for a model."""

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
from vaeserve.command.outputs import ResultFile, add_output_options, output_of, tell_rows
from vaeserve.command.parser import verb_parser


def reconstruct(arguments: list[str]) -> int:
    """Encodes rows, decodes them again, and writes how usual each is for the model."""
    options, out = _reconstruct_options(arguments)
    out.check(*options.input)
    from vaeserve.client.picture_sizes import size_of_data
    from vaeserve.command.inputs import open_input
    from vaeserve.command.scores import check_format, write_scores
    from vaeserve.command.streaming import joined, slices

    check_format(out)
    source = open_input(options.input, options.skip_bad)
    with connect(options) as client:
        model = client.get_model(options.model, options.version)
        data = source.rows(model.data, options.skip_bad, options.fit)
        pieces = client.reconstruct_stream(
            slices(data.rows, model, size_of_data(data.rows, "data", options.fit, model)),
            fit=options.fit,
            latent=options.latent,
            seed=options.seed,
            first_row=options.first_row,
            model=options.model,
            version=options.version,
        )
        scored = joined(pieces, len(data.rows))
    write_scores(out, scored, [str(path) for path in data.files], options.first_row, data.numbers)
    tell_rows(out, "scores", data, scored.seed, options.first_row)
    return 0


def _reconstruct_options(arguments: list[str]) -> tuple[argparse.Namespace, ResultFile]:
    parser = verb_parser(
        "reconstruct",
        "Encodes rows of data on a server, decodes them again, and scores each: log-likelihood, KL and ELBO in nats, "
        "if the model defines them, and the squared error.",
        slips=slips_of("reconstruct"),
    )
    add_server_options(parser)
    add_input_options(parser)
    add_fit_option(parser)
    parser.add_argument(
        "--latent", choices=("mean", "sample"), default="mean", help="which latent of each row to decode; default: mean"
    )
    add_draw_options(parser)
    about = "scores, one line a row (.csv, .parquet), or scores and reconstructions as arrays (.npz)"
    add_output_options(parser, about, "csv", "npz", "parquet")
    options = parser.parse_args(arguments)
    check_draw(parser, options, "latent")
    return options, output_of(parser, options)
