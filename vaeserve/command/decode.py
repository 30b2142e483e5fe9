"""The verb `vae decode`: latents, or codes -> rows."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from vaeserve.command.options import add_decoding_options, add_server_options, connect
from vaeserve.command.outputs import (
    STANDARD,
    ResultFile,
    check_cells,
    count_rows,
    output_of,
    parse_standard_input,
    picture_spec,
    read_standard_input,
)
from vaeserve.command.parser import verb_parser
from vaeserve.errors import InvalidInput

if TYPE_CHECKING:
    from vaeserve.files import AnyArray


def decode(arguments: list[str]) -> int:
    """Decodes latents on a server."""
    options, out = _decode_options(arguments)
    out.check(options.input)
    array, fingerprint, has_codes = _read_latent(options.input)
    check_cells(out, array.shape[0] if array.ndim else 1)
    from vaeserve.client.caller_rows import as_rows
    from vaeserve.client.picture_sizes import size_of_latents
    from vaeserve.command.streaming import joined, slices
    from vaeserve.printable import printable

    name = "standard input" if options.input == STANDARD else printable(options.input)

    with connect(options) as client:
        model = client.get_model(options.model, options.version)
        row = model.codes_spec(name) if has_codes else model.latent
        latent = row.fit(as_rows(array, name), name)
        pieces = client.decode_stream(
            slices(latent, model, size_of_latents(latent, model)),
            output="expectation" if options.expectation else "data",
            fingerprint=fingerprint,
            codes=has_codes,
            model=options.model,
            version=options.version,
        )
        decoded = joined(pieces, len(latent))
    spec = picture_spec(out, model, decoded.output)
    out.write_rows(decoded.output, spec, fingerprint=decoded.fingerprint)
    out.tell(count_rows(len(decoded.output)))
    return 0


def _decode_options(arguments: list[str]) -> tuple[argparse.Namespace, ResultFile]:
    parser = verb_parser(
        "decode", "Decodes latents on a server. Latents in a .npz file are decoded only by the model that encoded them."
    )
    add_server_options(parser)
    parser.add_argument(
        "--input",
        type=Path,
        required=True,
        metavar="Z.npz",
        help="latents or codes that `vae encode` wrote (.npz), or an array of latents (.npy); -: standard input",
    )
    add_decoding_options(parser)
    options = parser.parse_args(arguments)
    return options, output_of(parser, options)


def _read_latent(path: Path) -> "tuple[AnyArray, str | None, bool]":
    """Returns latents or codes, the fingerprint that the model must have (None: any model), and whether it is codes."""
    from vaeserve.files import NPY_MAGIC, check_suffix, parse_array, parse_arrays, read_array, read_arrays

    if path == STANDARD:
        content = read_standard_input()
        if content.startswith(NPY_MAGIC):
            return parse_standard_input(content, parse_array), None, False
        arrays = parse_standard_input(content, parse_arrays)
    elif check_suffix(path, ".npz", ".npy") == ".npy":
        return read_array(path), None, False
    else:
        arrays = read_arrays(path)
    rows = "codes" if "codes" in arrays else "latent"
    for name in (rows, "fingerprint"):
        if name not in arrays:
            raise InvalidInput(
                str(path), f"holds no {name}, which `vae encode` writes; latents alone must be in a .npy file"
            )
    return arrays[rows], str(arrays["fingerprint"]), rows == "codes"
