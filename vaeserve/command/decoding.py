"""The verbs that answer rows of data: sample, decode. They ask for them as jobs, as vaeserve/command/verbs.py does."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from vaeserve.command.options import add_decoding_options, add_server_options, connect
from vaeserve.command.outputs import STANDARD, ResultFile, output_of, parse_standard_input, read_standard_input
from vaeserve.command.parser import verb_parser
from vaeserve.errors import InvalidInput

if TYPE_CHECKING:
    from vaeserve.client.description import Model
    from vaeserve.files import AnyArray
    from vaeserve.package.manifest import DataSpec

_PICTURE_ROWS = 10_000  # more than anyone looks at


def sample(arguments: list[str]) -> int:
    """Draws samples from a server into a picture or an array."""
    options, out = _sample_options(arguments)
    out.check()
    _check_cells(out, options.count)
    from vaeserve.command.streaming import joined

    with connect(options) as client:
        pieces = client.sample_stream(
            options.count,
            seed=options.seed,
            first_row=options.first_row,
            temperature=options.temperature,
            prior=options.prior,
            output="expectation" if options.expectation else "data",
            include_latent=options.with_latent,
            model=options.model,
            version=options.version,
        )
        sampled = joined(pieces, options.count)
        spec = _drawn_spec(out, client.get_model(options.model, options.version))
    out.write_rows(
        sampled.output,
        spec,
        latent=sampled.latent,
        seed=sampled.seed,
        first_row=options.first_row,
        fingerprint=sampled.fingerprint,
    )
    out.tell(f"{options.count} rows of seed {sampled.seed}, from row {options.first_row}")
    return 0


def _sample_options(arguments: list[str]) -> tuple[argparse.Namespace, ResultFile]:
    parser = verb_parser("sample", "Draws rows from a prior on a server and decodes them.")
    add_server_options(parser)
    parser.add_argument("--count", type=int, required=True, help="number of rows")
    parser.add_argument("--seed", type=int, help="0 to 2^64 - 1; picked, and told, if not given")
    parser.add_argument("--first-row", type=int, default=0, metavar="ROW", help="number of the first row; default 0")
    parser.add_argument("--temperature", type=float, help="factor on the noise's standard deviation; default 1")
    parser.add_argument("--prior", default="", help="name of the prior; default: the model's own default")
    parser.add_argument("--with-latent", action="store_true", help="write the latents too; needs the format .npz")
    add_decoding_options(parser)
    options = parser.parse_args(arguments)
    out = output_of(parser, options)
    if options.with_latent and out.suffix != ".npz":
        parser.error("--with-latent needs --out to be a .npz file")
    return options, out


def decode(arguments: list[str]) -> int:
    """Decodes latents on a server."""
    options, out = _decode_options(arguments)
    out.check()
    given, fingerprint = _read_latent(options.input)
    _check_cells(out, given.shape[0] if given.ndim else 1)
    from vaeserve.client.given import as_rows
    from vaeserve.command.streaming import joined, slices

    with connect(options) as client:
        model = client.get_model(options.model, options.version)
        latent = model.latent.fit(as_rows(given, "latent"), "latent")
        pieces = client.decode_stream(
            slices(latent, model),
            output="expectation" if options.expectation else "data",
            fingerprint=fingerprint,
            model=options.model,
            version=options.version,
        )
        decoded = joined(pieces, len(latent))
    out.write_rows(decoded.output, _drawn_spec(out, model), fingerprint=decoded.fingerprint)
    out.tell(f"{len(decoded.output)} rows")
    return 0


def _decode_options(arguments: list[str]) -> tuple[argparse.Namespace, ResultFile]:
    parser = verb_parser(
        "decode", "Decodes latents on a server; those of a .npz file by the pair that they came from alone."
    )
    add_server_options(parser)
    parser.add_argument(
        "--input",
        type=Path,
        required=True,
        metavar="Z.npz",
        help="what `vae encode` wrote, or bare latents (.npy); - is standard input",
    )
    add_decoding_options(parser)
    options = parser.parse_args(arguments)
    return options, output_of(parser, options)


def _check_cells(out: ResultFile, rows: int) -> None:
    if out.suffix == ".png" and rows > _PICTURE_ROWS:
        raise InvalidInput(
            str(out.path), f"a picture shows at most {_PICTURE_ROWS:,} rows, not {rows:,}; write a .npy file"
        )


def _drawn_spec(out: ResultFile, model: "Model") -> "DataSpec | None":
    """Returns the range that a picture is drawn in; None where none is drawn."""
    return model.data if out.suffix == ".png" else None


def _read_latent(path: Path) -> "tuple[AnyArray, str | None]":
    """Returns latents, and the fingerprint to insist on."""
    from vaeserve.files import NPY_MAGIC, check_suffix, parse_array, parse_arrays, read_array, read_arrays

    if path == STANDARD:
        content = read_standard_input()
        if content.startswith(NPY_MAGIC):
            return parse_standard_input(content, parse_array), None
        arrays = parse_standard_input(content, parse_arrays)
    elif check_suffix(path, ".npz", ".npy") == ".npy":
        return read_array(path), None
    else:
        arrays = read_arrays(path)
    for name in ("latent", "fingerprint"):
        if name not in arrays:
            raise InvalidInput(str(path), f"holds no {name}: `vae encode` writes it; bare latents come as .npy")
    return arrays["latent"], str(arrays["fingerprint"])
