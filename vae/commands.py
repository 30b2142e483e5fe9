"""The client's verbs: sample, encode, decode, info.

What they need is imported once a verb is called with options that make sense, so that help and mistakes are answered at
once. Files are checked before anything is sent.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from vae.errors import InvalidInput
from vae.options import add_decoding_options, add_server_options, connect
from vae.parser import verb_parser

if TYPE_CHECKING:
    from vae.client import Client
    from vae.files import AnyArray, Value
    from vae.manifest import DataSpec
    from vae.tensors import Array

_PICTURE_ROWS = 10_000  # more than anyone looks at


def sample(arguments: list[str]) -> int:
    """Draws samples from a server into a picture or an array."""
    options = _sample_options(arguments)
    _check_out(options.out, ".png", ".npy", ".npz")
    _check_cells(options.out, options.count)
    with connect(options) as client:
        sampled = client.sample(
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
        spec = _data_spec(client, options)
    _write_rows(
        options.out,
        sampled.output,
        spec,
        latent=sampled.latent,
        seed=sampled.seed,
        first_row=sampled.first_row,
        fingerprint=sampled.fingerprint,
    )
    print(f"{options.out}: {options.count} rows of seed {sampled.seed}, from row {sampled.first_row}")
    return 0


def _sample_options(arguments: list[str]) -> argparse.Namespace:
    parser = verb_parser("sample", "Draws rows from a prior on a server and decodes them.")
    add_server_options(parser)
    parser.add_argument("--count", type=int, required=True, help="number of rows")
    parser.add_argument("--seed", type=int, help="0 to 2^64 - 1; picked, and told, if not given")
    parser.add_argument("--first-row", type=int, default=0, metavar="ROW", help="number of the first row; default 0")
    parser.add_argument("--temperature", type=float, help="factor on the noise's standard deviation; default 1")
    parser.add_argument("--prior", default="", help="name of the prior; default: the model's own default")
    parser.add_argument("--with-latent", action="store_true", help="write the latents too; needs a .npz file")
    add_decoding_options(parser)
    options = parser.parse_args(arguments)
    if options.with_latent and options.out.suffix != ".npz":
        parser.error("--with-latent needs --out to be a .npz file")
    return options


def encode(arguments: list[str]) -> int:
    """Encodes rows of an array, or images, on a server."""
    options = _encode_options(arguments)
    _check_out(options.out, ".npz")
    from vae.files import read_array, read_images, write_arrays

    is_array = len(options.input) == 1 and options.input[0].suffix == ".npy"
    images = [] if is_array else read_images(options.input)
    data = read_array(options.input[0]) if is_array else [image for _, image in images]
    with connect(options) as client:
        _check_images(images, client, options)
        encoded = client.encode(
            data,
            output=options.output,
            seed=options.seed,
            first_row=options.first_row,
            model=options.model,
            version=options.version,
        )
    write_arrays(
        options.out,
        latent=encoded.latent,
        log_variance=encoded.log_variance,
        fingerprint=encoded.fingerprint,
        seed=encoded.seed,
        first_row=None if encoded.seed is None else options.first_row,
        files=[str(path) for path, _ in images] or None,
    )
    drawn = "" if encoded.seed is None else f", drawn with seed {encoded.seed} from row {options.first_row}"
    print(f"{options.out}: latents of {len(data)} rows{drawn}")
    return 0


def _encode_options(arguments: list[str]) -> argparse.Namespace:
    parser = verb_parser("encode", "Encodes rows of data on a server. The result knows which pair it came from.")
    add_server_options(parser)
    parser.add_argument(
        "--input",
        type=Path,
        nargs="+",
        required=True,
        metavar="X",
        help="rows of data, the model's shape (.npy); or images of its size (.png, .jpg, .webp), or folders of them",
    )
    parser.add_argument("--output", choices=("mean", "sample", "moments"), default="mean", help="default: mean")
    parser.add_argument("--seed", type=int, help="of a sample, 0 to 2^64 - 1; picked, and told, if not given")
    parser.add_argument("--first-row", type=int, default=0, metavar="ROW", help="number of a sample's first row")
    parser.add_argument("--out", type=Path, required=True, metavar="Z.npz", help="latents, and what they came from")
    options = parser.parse_args(arguments)
    if options.output != "sample" and (options.seed is not None or options.first_row):
        parser.error("--seed and --first-row are for --output sample")
    return options


def _check_images(images: "list[tuple[Path, bytes]]", client: "Client", options: argparse.Namespace) -> None:
    """Names the file that does not fit the model, where the client would tell its number."""
    if images:
        from vae.images import check_image, takes_images

        spec = client.get_model(options.model, options.version).data
        for path, image in images if takes_images(spec) else ():
            check_image(image, str(path), spec)


def decode(arguments: list[str]) -> int:
    """Decodes latents on a server."""
    parser = verb_parser(
        "decode", "Decodes latents on a server; those of a .npz file by the pair that they came from alone."
    )
    add_server_options(parser)
    parser.add_argument(
        "--input", type=Path, required=True, metavar="Z.npz", help="what `vae encode` wrote, or bare latents (.npy)"
    )
    add_decoding_options(parser)
    options = parser.parse_args(arguments)
    _check_out(options.out, ".png", ".npy", ".npz")
    latent, fingerprint = _read_latent(options.input)
    _check_cells(options.out, latent.shape[0] if latent.ndim else 1)
    with connect(options) as client:
        decoded = client.decode(
            latent,
            output="expectation" if options.expectation else "data",
            fingerprint=fingerprint,
            model=options.model,
            version=options.version,
        )
        spec = _data_spec(client, options)
    _write_rows(options.out, decoded.output, spec, fingerprint=decoded.fingerprint)
    print(f"{options.out}: {len(decoded.output)} rows")
    return 0


def _check_out(path: Path, *suffixes: str) -> None:
    from vae.files import check_suffix, check_writable

    check_suffix(path, *suffixes)
    check_writable(path)


def _check_cells(path: Path, rows: int) -> None:
    if path.suffix == ".png" and rows > _PICTURE_ROWS:
        raise InvalidInput(
            str(path), f"a picture shows at most {_PICTURE_ROWS:,} rows, not {rows:,}; write a .npy file"
        )


def _data_spec(client: "Client", options: argparse.Namespace) -> "DataSpec | None":
    """Returns the range that a picture is drawn in; None where none is drawn."""
    return client.get_model(options.model, options.version).data if options.out.suffix == ".png" else None


def _write_rows(path: Path, rows: "Array", spec: "DataSpec | None", **extras: "Value") -> None:
    """Writes rows as a picture if there is a spec to draw them by, else as an array; a `.npz` has room for extras."""
    from vae.files import write, write_array, write_arrays

    if spec is not None:
        from vae.pictures import grid_png

        picture = grid_png(rows, spec)
        write(path, lambda file: file.write(picture))
    elif path.suffix == ".npy":
        write_array(path, rows)
    else:
        write_arrays(path, output=rows, **extras)


def _read_latent(path: Path) -> "tuple[AnyArray, str | None]":
    """Returns latents, and the fingerprint to insist on."""
    from vae.files import check_suffix, read_array, read_arrays

    if check_suffix(path, ".npz", ".npy") == ".npy":
        return read_array(path), None
    arrays = read_arrays(path)
    for name in ("latent", "fingerprint"):
        if name not in arrays:
            raise InvalidInput(str(path), f"holds no {name}: `vae encode` writes it; bare latents come as .npy")
    return arrays["latent"], str(arrays["fingerprint"])
