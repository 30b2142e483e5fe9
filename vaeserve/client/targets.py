"""Targets: what a gRPC target must name, and whether gRPC reaches it through a proxy."""

import ipaddress
import os
import re
from contextlib import suppress

from vaeserve.addresses import addresses, is_loopback
from vaeserve.client.scalars import text
from vaeserve.errors import InvalidInput

_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")  # gRPC takes the first one that is set
_NO_PROXIES = ("no_grpc_proxy", "no_proxy")


def check_target(target: str, field: str = "target") -> str:
    """Returns a target that is complete.

    Args:
        target: a gRPC target.
        field: name of the target in an error.

    Raises:
        InvalidInput: the target is empty, is a web address, or has no port (gRPC would use 443).
    """
    if not text(field, target) or re.match(r"https?:", target):
        raise InvalidInput(field, f"is {target!r}, must be HOST:PORT without a scheme")
    for address in addresses(target):
        host, _, port = address.rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        if ":" in bare and bare == host:
            raise InvalidInput(field, f"is {target!r}: an IPv6 address needs brackets, [{address}]:PORT")
        if not host or address.endswith("]"):
            raise InvalidInput(field, f"is {target!r}, which has no port: must be HOST:PORT")
        if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65536):
            raise InvalidInput(field, f"is {target!r}: the port must be a number from 1 to 65535")
    return target


def proxy_variable(target: str) -> str | None:
    """Returns the environment variable that names gRPC's proxy to a target; None if gRPC uses no proxy."""
    name = next((name for name in _PROXIES if os.environ.get(name)), None)
    hosts = addresses(target)
    if name is None or not hosts or is_loopback(target):
        return None
    excepted = next((os.environ[name] for name in _NO_PROXIES if os.environ.get(name)), "")
    host = hosts[0].rpartition(":")[0].strip("[]")
    return None if any(_is_excepted(host, entry.strip()) for entry in excepted.split(",")) else name


def _is_excepted(host: str, entry: str) -> bool:
    """Whether an entry of no_proxy, which is a network or the end of a name, covers a host."""
    with suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry)
    return bool(entry) and host.endswith(entry)
