"""The verb `vae sample`: seed and row numbers -> rows drawn from a prior and decoded."""

import argparse

from vaeserve.command.options import add_decoding_options, add_server_options, add_size_option, connect, slips_of
from vaeserve.command.outputs import ResultFile, check_cells, count_rows, output_of, picture_spec
from vaeserve.command.parser import verb_parser


def sample(arguments: list[str]) -> int:
    """Draws samples from a server into a picture or an array."""
    options, out = _sample_options(arguments)
    out.check()
    check_cells(out, options.count)
    from vaeserve.command.streaming import joined

    with connect(options) as client:
        pieces = client.sample_stream(
            options.count,
            seed=options.seed,
            first_row=options.first_row,
            temperature=options.temperature,
            prior=options.prior,
            size=options.size,
            output="expectation" if options.expectation else "data",
            include_latent=options.with_latent,
            model=options.model,
            version=options.version,
        )
        sampled = joined(pieces, options.count)
        spec = picture_spec(out, client.get_model(options.model, options.version), sampled.output)
    out.write_rows(
        sampled.output,
        spec,
        latent=sampled.latent,
        seed=sampled.seed,
        first_row=options.first_row,
        fingerprint=sampled.fingerprint,
    )
    out.tell(f"{count_rows(options.count)}, drawn with seed {sampled.seed} from row {options.first_row}")
    return 0


def _sample_options(arguments: list[str]) -> tuple[argparse.Namespace, ResultFile]:
    parser = verb_parser("sample", "Draws rows from a prior on a server and decodes them.", slips=slips_of("sample"))
    add_server_options(parser)
    parser.add_argument("--count", type=int, required=True, help="number of rows")
    parser.add_argument("--seed", type=int, help="0 to 2^64 - 1; default: chosen at random and printed")
    parser.add_argument("--first-row", type=int, default=0, metavar="ROW", help="number of the first row; default 0")
    parser.add_argument(
        "--temperature", type=float, help="factor on the standard deviation of the prior's noise; default 1"
    )
    parser.add_argument("--prior", default="", help="name of the prior; default: the model's default prior")
    add_size_option(parser, "of the pictures, for a model of many sizes; default: the model's own default")
    parser.add_argument("--with-latent", action="store_true", help="write the latents too; needs a .npz file")
    add_decoding_options(parser)
    options = parser.parse_args(arguments)
    out = output_of(parser, options)
    if options.with_latent and out.suffix != ".npz":
        parser.error("--with-latent needs --out to be a .npz file")
    return options, out
