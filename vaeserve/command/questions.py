"""The verbs that ask what there is: info and health. They import what they need once their options make sense."""

import argparse
import json
import sys
from pathlib import Path

from vaeserve.command.options import add_connection_options, connect, read_connection
from vaeserve.command.parser import verb_parser
from vaeserve.errors import PackageError

_HEALTH_SECONDS = 3.0


def info(arguments: list[str]) -> int:
    """Describes a model package or what a server serves."""
    options = _info_options(arguments)
    from vaeserve.command.info import models_text, package_text

    if options.package is not None:
        from vaeserve.package.directory import ModelPackage

        if not options.package.exists():
            raise PackageError(f"{options.package}: no such directory; a server is named with --target HOST:PORT")
        package = ModelPackage.open(options.package)
        print(package.manifest.to_json().rstrip() if options.json else package_text(package))
        return 0
    with connect(options) as client:
        models = client.list_models()
    listing = json.dumps({"models": [model.model_dump(mode="json") for model in models]}, indent=2)
    print(listing if options.json else models_text(models, options.target))
    return 0


def _info_options(arguments: list[str]) -> argparse.Namespace:
    parser = verb_parser(
        "info",
        "Describes the models that a server serves; or a model package, after verifying its checksums.",
    )
    parser.add_argument("package", type=Path, nargs="?", metavar="PACKAGE", help="a package's directory, not a server")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_connection_options(parser)
    return parser.parse_args(arguments)


def health(arguments: list[str]) -> int:
    """Asks a server for its health, as a container's health check does; returns 0 only where it is SERVING."""
    options = _health_options(arguments)
    import grpc

    from vaeserve.client.channel import connection
    from vaeserve.client.failures import call_error
    from vaeserve.command.health import ask_health, is_refused, not_listening
    from vaeserve.errors import CallError

    to = connection(**read_connection(options))
    try:
        status = ask_health(to, options.timeout, options.service)
    except grpc.RpcError as exc:
        failure = not_listening(to.target) if is_refused(exc) else call_error(exc, to.target, options.timeout)
        if failure.code == "NOT_FOUND":
            failure = CallError(failure.code, f"service: the server tells the health of no service {options.service!r}")
        status = failure.code
        print(f"vae: {failure}", file=sys.stderr)
    print(status)
    return 0 if status == "SERVING" else 1


def _health_options(arguments: list[str]) -> argparse.Namespace:
    parser = verb_parser("health", "Prints the health of a server. Exits with 0 if it is SERVING, else with 1.")
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--service", default="", metavar="NAME", help="whose health; default: the whole server's")
    asked.add_argument(
        "--liveness",
        dest="service",
        action="store_const",
        const="liveness",
        help="ask whether the process is alive, not whether it is ready: the service `liveness`",
    )
    add_connection_options(parser)
    parser.set_defaults(timeout=_HEALTH_SECONDS)
    return parser.parse_args(arguments)
