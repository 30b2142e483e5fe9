"""The verb `vae decode`: latents, or codes -> rows."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vaeserve.command.options import add_decoding_options, add_server_options, connect, slips_of
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
from vaeserve.printable import printable

if TYPE_CHECKING:
    from vaeserve.files import AnyArray


def decode(arguments: list[str]) -> int:
    """Decodes latents on a server."""
    options, out = _decode_options(arguments)
    out.check(options.input)
    array, fingerprint, has_codes, note = _read_latent(options.input)
    check_cells(out, array.shape[0] if array.ndim else 1)
    from vaeserve.client.caller_rows import as_rows
    from vaeserve.client.picture_sizes import size_of_latents
    from vaeserve.command.streaming import joined, slices

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
    if note:
        print(note, file=sys.stderr)
    out.write_rows(decoded.output, spec, fingerprint=decoded.fingerprint)
    out.tell(count_rows(len(decoded.output)))
    return 0


def _decode_options(arguments: list[str]) -> tuple[argparse.Namespace, ResultFile]:
    parser = verb_parser(
        "decode",
        "Decodes latents on a server. Latents in a .npz file are decoded only by the model that encoded them.",
        slips=slips_of("decode"),
    )
    add_server_options(parser)
    parser.add_argument(
        "--input",
        type=Path,
        required=True,
        metavar="Z.npz",
        help="latents or codes that `vae encode` or `vae sample --with-latent` wrote (.npz), or an array of latents "
        "(.npy); -: standard input",
    )
    add_decoding_options(parser)
    options = parser.parse_args(arguments)
    return options, output_of(parser, options)


class _Latents(NamedTuple):
    """What a file holds to decode."""

    rows: "AnyArray"
    fingerprint: str | None = None
    """Of the model that they belong to; None: any."""
    are_codes: bool = False
    note: str = ""
    """A line about which array was taken, if the file also holds other rows."""


def _read_latent(path: Path) -> _Latents:
    from vaeserve.files import NPY_MAGIC, check_suffix, parse_array, parse_arrays, read_array, read_arrays

    if path == STANDARD:
        content = read_standard_input()
        if content.startswith(NPY_MAGIC):
            return _Latents(parse_standard_input(content, parse_array))
        arrays = parse_standard_input(content, parse_arrays)
    elif check_suffix(path, ".npz", ".npy") == ".npy":
        return _Latents(read_array(path))
    else:
        arrays = read_arrays(path)
    rows = "codes" if "codes" in arrays else "latent"
    for name in (rows, "fingerprint"):
        if name not in arrays:
            raise InvalidInput(
                str(path),
                f"holds no {name}, which `vae encode` and `vae sample --with-latent` write; latents alone must be in a "
                ".npy file",
            )
    note = f"{printable(path)}: took {rows}, of {', '.join(sorted(arrays))}" if "output" in arrays else ""
    return _Latents(arrays[rows], str(arrays["fingerprint"]), rows == "codes", note)
