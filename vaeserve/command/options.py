"""Options that client verbs share. Standard library only, so that help is printed at once."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from vaeserve.command.outputs import add_output_options
from vaeserve.command.parser import picture_size
from vaeserve.errors import InvalidInput

if TYPE_CHECKING:
    from vaeserve.client.blocking import Client

_TARGET = "127.0.0.1:50051"  # where `vae serve` listens by default
_OF_JOBS = (
    *("--package", "--provider", "--threads", "--batch-rows", "--lists", "--dtype"),
    *("--partition-rows", "--workers", "--ray", "--shard", "--update", "--max-errors", "--json"),
)
_OF_SOURCES = ("--columns", "--keep")


def slips_of(verb: str) -> dict[str, str]:
    """Returns what to say of options that the job of the same name has, and this verb does not."""
    names = _OF_JOBS if verb == "sample" else (*_OF_JOBS, *_OF_SOURCES)
    slips = dict.fromkeys(names, f"it is an option of `vae job {verb}`")
    return slips if verb == "sample" else {"--source": "it is --input", **slips}


def add_server_options(parser: argparse.ArgumentParser, *, has_default: bool = True) -> None:
    """Adds the options that name a server and one of its models."""
    add_connection_options(parser, has_default=has_default)
    parser.add_argument("--model", default="", help="name of the model; default: the server's default, or the only one")
    parser.add_argument("--version", type=int, default=0, help="version of the model; default: the newest")


def add_connection_options(parser: argparse.ArgumentParser, *, has_default: bool = True) -> None:
    """Adds the options that name a server, and say how to connect to it.

    Args:
        parser: the verb's.
        has_default: Whether `--target` may be left out.
    """
    default = os.environ.get("VAE_TARGET") or _TARGET
    otherwise = f"; default: $VAE_TARGET if that is set, else {_TARGET}" * has_default
    parser.add_argument(
        "--target",
        default=default if has_default else None,
        required=not has_default,
        metavar="HOST:PORT",
        help=f"address of the server{otherwise}",
    )
    add_connection_group(parser)


def add_connection_group(parser: argparse.ArgumentParser, timeout_seconds: float = 60.0) -> None:
    """Adds the options that say how to connect to a server.

    Args:
        parser: the verb's.
        timeout_seconds: default of `--timeout`.
    """
    group = parser.add_argument_group("connection")
    group.add_argument(
        "--timeout",
        type=float,
        default=timeout_seconds,
        metavar="SECONDS",
        help="maximum time to wait for an answer; default %(default)g",
    )
    group.add_argument(
        "--tls",
        action="store_true",
        help="encrypt the connection, and trust the certificate authorities of this system",
    )
    group.add_argument(
        "--root-certificates",
        type=Path,
        metavar="PEM",
        help="encrypt the connection, and trust the certificate authorities in this file",
    )
    group.add_argument(
        "--client-certificate",
        type=Path,
        metavar="PEM",
        help="certificate that this client presents; needs --client-key",
    )
    group.add_argument("--client-key", type=Path, metavar="PEM", help="private key of --client-certificate")
    group.add_argument("--token-file", type=Path, metavar="FILE", help="file that holds a bearer token")


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say which rows of data to send."""
    parser.add_argument(
        "--input",
        type=Path,
        nargs="+",
        required=True,
        metavar="X",
        help="one file of rows: an array of the model's shape (.npy, .npz, or MNIST's idx3-ubyte) or a table "
        "(.csv, .parquet), whose columns are matched by name; or pictures (PNG, JPEG, WebP) and folders of them, "
        "searched in depth: fitted as in training if the model says how, otherwise of the model's size; "
        "-: standard input, which holds an array (.npy) or one picture",
    )
    parser.add_argument("--skip-bad", action="store_true", help="leave out and list bad pictures and rows")


def add_fit_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option that says how pictures are brought to a size that the model takes."""
    parser.add_argument(
        "--fit",
        choices=("exact", "crop", "pad"),
        default="exact",
        help="for a model of many sizes: what is done to pictures of a size that it does not take. exact: they are "
        "refused; crop: the middle is cut out; pad: the last row and column are repeated; default: exact",
    )


def add_size_option(parser: argparse.ArgumentParser, about: str) -> None:
    """Adds the option that names a size of pictures."""
    parser.add_argument("--size", type=picture_size, metavar="WIDTHxHEIGHT", help=f"size {about}")


def add_draw_options(parser: argparse.ArgumentParser) -> None:
    """Adds the seed and the first row of a sample."""
    parser.add_argument(
        "--seed", type=int, help="seed of a sample, 0 to 2^64 - 1; default: chosen at random and printed"
    )
    parser.add_argument(
        "--first-row", type=int, default=0, metavar="ROW", help="number of a sample's first row; default 0"
    )


def check_draw(parser: argparse.ArgumentParser, options: argparse.Namespace, option: str) -> None:
    """Exits if a seed or a first row is given, and `option` does not ask for a sample."""
    if getattr(options, option) != "sample" and (options.seed is not None or options.first_row):
        parser.error(f"--seed and --first-row are for --{option} sample")


def add_decoding_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say which kind of rows to get, and where to write them."""
    parser.add_argument(
        "--expectation",
        action="store_true",
        help="return the expected value of each row (float32) instead of rounded data",
    )
    about = "rows (.npy), rows with their seed and model fingerprint (.npz), or a grid of pictures (.png)"
    add_output_options(parser, about, "npy", "npz", "png")


def connect(options: argparse.Namespace) -> "Client":
    """Returns a client of the server that the options name. Its calls are bulk work.

    Fails at once if nothing listens there, because calls would be repeated for a while.

    Raises:
        InvalidInput: the target has no port, the options contradict each other, or a file cannot be read.
        CallError: UNAVAILABLE; the connection is refused.
    """
    from vaeserve.client.blocking import Client
    from vaeserve.command.health_check import check_listening

    client = Client(**read_connection(options), timeout_seconds=options.timeout, bulk=True)
    check_listening(client.connection)
    return client


class ServerOptions(TypedDict):
    """What `vaeserve.client.channel.connection` takes."""

    target: str
    token: str | None
    tls: bool
    root_certificates: Path | None
    client_certificate: Path | None
    client_key: Path | None


def read_connection(options: argparse.Namespace) -> ServerOptions:
    """Returns the arguments of a connection to the server that the options name.

    Raises:
        InvalidInput: the target has no port, or the file of the token cannot be read. A target from VAE_TARGET is named
            by that.
    """
    from vaeserve.client.targets import check_target

    check_target(options.target, "VAE_TARGET" if options.target == os.environ.get("VAE_TARGET") else "target")
    return {
        "target": options.target,
        "token": None if options.token_file is None else _read_token(options.token_file),
        "tls": options.tls,
        "root_certificates": options.root_certificates,
        "client_certificate": options.client_certificate,
        "client_key": options.client_key,
    }


def _read_token(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidInput(str(path), f"cannot be read: {getattr(exc, 'strerror', 'it is not text')}") from exc
