"""The verbs `vae serve` and `vae health`."""

import asyncio
import logging
import os
import signal
import sys
from typing import get_args

from vae.parser import verb_parser


def serve(arguments: list[str]) -> int:
    """Serves model packages until SIGTERM or SIGINT.

    Raises:
        StartupError: a setting is wrong, or the port or the provider is not to be had.
        PackageError: there is no package that can be served.
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # until the event loop takes them over
        signal.signal(number, lambda *_: sys.exit(0))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from serving.settings import read_settings

    settings = read_settings(_parse(arguments))
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S"
    )
    from serving.app import run

    asyncio.run(run(settings))
    return 0


def _parse(arguments: list[str]) -> dict[str, str]:
    """Returns the settings that were given as flags; the flags are made from the settings."""
    from serving.settings import Settings

    parser = verb_parser(
        "serve",
        "Serves model packages over gRPC.",
        "Every setting is also an environment variable: --batch-rows is VAE_BATCH_ROWS. A flag wins.",
    )
    parser.add_argument("package", nargs="?", metavar="PACKAGE", help=Settings.model_fields["package"].description)
    for name, field in Settings.model_fields.items():
        if name != "package":
            parser.add_argument(
                f"--{name.replace('_', '-')}",
                choices=get_args(field.annotation) or None,
                metavar=None if get_args(field.annotation) else name.rpartition("_")[2].upper(),
                help=f"{field.description} (default {field.default})",
            )
    flags = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    if "package" not in flags and "VAE_PACKAGE" not in os.environ:
        parser.error("no PACKAGE, and VAE_PACKAGE is not set")
    return flags


def health(arguments: list[str]) -> int:
    """Asks a server for its health, as a container's health check does; returns 0 only where it is SERVING."""
    parser = verb_parser("health", "Exits with 0 if a server is ready, else with 1.")
    parser.add_argument("target", metavar="HOST:PORT", help="the server")
    parser.add_argument("--timeout", type=float, default=3.0, metavar="S", help="seconds to wait (default %(default)s)")
    options = parser.parse_args(arguments)
    from serving.server import ask_health

    status = ask_health(options.target, options.timeout)
    print(status)
    return 0 if status == "SERVING" else 1
