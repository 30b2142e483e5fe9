"""Options that client verbs share. Standard library only, so that help is answered at once."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from vaeserve.command.outputs import add_output_options
from vaeserve.errors import InvalidInput

if TYPE_CHECKING:
    from vaeserve.client.blocking import Client

_TARGET = "127.0.0.1:50051"  # where `vae serve` listens unless told otherwise


def add_server_options(parser: argparse.ArgumentParser, *, has_default: bool = True) -> None:
    """Adds what tells a server and a model of it."""
    add_connection_options(parser, has_default=has_default)
    parser.add_argument("--model", default="", help="name of the model; default: the only one")
    parser.add_argument("--version", type=int, default=0, help="version of the model; default: the newest")


def add_connection_options(parser: argparse.ArgumentParser, *, has_default: bool = True) -> None:
    """Adds what tells which server to reach, and how.

    Args:
        parser: of the verb.
        has_default: whether a server need not be named.
    """
    default = os.environ.get("VAE_TARGET") or _TARGET
    otherwise = f"; default: the variable VAE_TARGET, or {_TARGET}" * has_default
    parser.add_argument(
        "--target",
        default=default if has_default else None,
        required=not has_default,
        metavar="HOST:PORT",
        help=f"the server{otherwise}",
    )
    group = parser.add_argument_group("connection")
    group.add_argument(
        "--timeout", type=float, default=60.0, metavar="SECONDS", help="longest wait for an answer; default %(default)g"
    )
    group.add_argument("--tls", action="store_true", help="encrypt, trusting the system's authorities")
    group.add_argument("--root-certificates", type=Path, metavar="PEM", help="encrypt, trusting these authorities")
    group.add_argument("--client-certificate", type=Path, metavar="PEM", help="certificate to show, with its key")
    group.add_argument("--client-key", type=Path, metavar="PEM", help="its private key")
    group.add_argument("--token-file", type=Path, metavar="FILE", help="file that holds a bearer token")


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """Adds what tells the rows of data to send."""
    parser.add_argument(
        "--input",
        type=Path,
        nargs="+",
        required=True,
        metavar="X",
        help="one file of rows: an array of the model's shape (.npy, .npz, or MNIST's idx3-ubyte) or a table "
        "(.csv, .parquet), whose columns are taken by name; or pictures (PNG, JPEG, WebP) and folders of them, with "
        "the folders below, fitted as in training if the model says how, else of the model's size; "
        "- is standard input: an array (.npy) or one picture",
    )
    parser.add_argument("--skip-bad", action="store_true", help="leave out and list bad pictures and rows")


def add_draw_options(parser: argparse.ArgumentParser) -> None:
    """Adds the seed and the first row of a sample."""
    parser.add_argument("--seed", type=int, help="of a sample, 0 to 2^64 - 1; picked, and told, if not given")
    parser.add_argument("--first-row", type=int, default=0, metavar="ROW", help="number of a sample's first row")


def check_draw(parser: argparse.ArgumentParser, options: argparse.Namespace, option: str) -> None:
    """Exits where a seed or a first row is given, but `option` does not ask for a sample."""
    if getattr(options, option) != "sample" and (options.seed is not None or options.first_row):
        parser.error(f"--seed and --first-row are for --{option} sample")


def add_decoding_options(parser: argparse.ArgumentParser) -> None:
    """Adds what tells which kind of rows to get, and where to write them."""
    parser.add_argument("--expectation", action="store_true", help="the likelihood's expectation, float32, not rounded")
    about = "rows (.npy), rows and what they came from (.npz), or a picture of a grid (.png)"
    add_output_options(parser, about, "npy", "npz", "png")


def connect(options: argparse.Namespace) -> "Client":
    """Returns a client whose calls are bulk work, of the server that the options tell.

    Finds out at once, where calls would be repeated for a while, that nothing listens there.

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
    """Returns how to reach the server that the options tell.

    Raises:
        InvalidInput: the target has no port, where VAE_TARGET gives it named by that; or the file of the token cannot
            be read.
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
        raise InvalidInput(str(path), f"cannot be read: {getattr(exc, 'strerror', 'it is no text')}") from exc
