"""The verb `vae health`: whether a server is ready."""

import argparse
import sys

from vaeserve.command.options import add_connection_options, read_connection
from vaeserve.command.parser import verb_parser

_HEALTH_SECONDS = 3.0


def health(arguments: list[str]) -> int:
    """Asks a server for its health, as a container's health check does; returns 0 only if it is SERVING."""
    options = _health_options(arguments)
    import grpc

    from vaeserve.client.channel import connection
    from vaeserve.client.failures import call_error
    from vaeserve.command.health_check import ask_health, is_refused, not_listening
    from vaeserve.errors import CallError

    to = connection(**read_connection(options))
    try:
        status = ask_health(to, options.timeout, options.service)
    except grpc.RpcError as exc:
        failure = not_listening(to.target) if is_refused(exc) else call_error(exc, to.target, options.timeout)
        if failure.code == "NOT_FOUND":
            failure = CallError(failure.code, f"service: the server does not report on a service {options.service!r}")
        status = failure.code
        print(f"vae: {failure}", file=sys.stderr)
    print(status)
    return 0 if status == "SERVING" else 1


def _health_options(arguments: list[str]) -> argparse.Namespace:
    parser = verb_parser(
        "health", "Prints the health of a server. Exits with 0 if it is SERVING, and with 1 otherwise."
    )
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--service", default="", metavar="NAME", help="service to ask about; default: the whole server")
    asked.add_argument(
        "--liveness",
        dest="service",
        action="store_const",
        const="liveness",
        help="ask whether the process is alive, not whether it is ready (the same as --service liveness)",
    )
    add_connection_options(parser)
    parser.set_defaults(timeout=_HEALTH_SECONDS)
    return parser.parse_args(arguments)
