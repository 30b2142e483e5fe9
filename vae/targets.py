"""What a gRPC target names: a port, this machine, and whether a proxy stands before it."""

import ipaddress
import os
import re
from contextlib import suppress

from vae.errors import InvalidInput
from vae.scalars import text

_WITHOUT_PORT = ("unix", "unix-abstract", "vsock", "xds", "google-c2p")  # schemes
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")  # the first that is set is the one that gRPC takes
_NO_PROXIES = ("no_grpc_proxy", "no_proxy")


def check_target(target: str, field: str = "target") -> str:
    """Returns a target that names all it must.

    Args:
        target: of gRPC.
        field: what to call it in an error.

    Raises:
        InvalidInput: it is empty, a web address, or names no port, for which gRPC would take 443.
    """
    if not text(field, target) or re.match(r"https?:", target):
        raise InvalidInput(field, f"is {target!r}, must be HOST:PORT without a scheme")
    for address in _addresses(target):
        host, _, port = address.rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        if ":" in bare and bare == host:
            raise InvalidInput(field, f"is {target!r}: an IPv6 address needs brackets, [{address}]:PORT")
        if not host or address.endswith("]"):
            raise InvalidInput(field, f"is {target!r}, which names no port: must be HOST:PORT")
        if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65536):
            raise InvalidInput(field, f"is {target!r}: the port must be a number from 1 to 65535")
    return target


def is_loopback(target: str) -> bool:
    """Says whether every address of a gRPC target lies on this machine; in doubt it does not."""
    scheme = _scheme(target)
    if scheme in ("unix", "unix-abstract"):
        return True
    return all(_is_loopback_host(address) for address in _addresses(target) or [target])


def proxy_variable(target: str) -> str | None:
    """Returns the environment variable whose proxy gRPC goes through to a target; None if it goes straight."""
    name = next((name for name in _PROXIES if os.environ.get(name)), None)
    addresses = _addresses(target)
    if name is None or not addresses or is_loopback(target):
        return None
    excepted = next((os.environ[name] for name in _NO_PROXIES if os.environ.get(name)), "")
    host = addresses[0].rpartition(":")[0].strip("[]")
    return None if any(_is_excepted(host, entry.strip()) for entry in excepted.split(",")) else name


def _is_excepted(host: str, entry: str) -> bool:
    """Says whether an entry of no_proxy, an ending of names or a network, covers a host."""
    with suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry)
    return bool(entry) and host.endswith(entry)


def _scheme(target: str) -> str:
    """Returns the scheme of a target, in small letters; empty if it is HOST:PORT."""
    scheme, separator, rest = target.partition(":")
    scheme = scheme.lower()
    is_one = separator and (scheme in (*_WITHOUT_PORT, "dns", "ipv4", "ipv6") or rest.startswith("//"))
    return scheme if is_one else ""


def _addresses(target: str) -> list[str]:
    """Returns the HOST:PORT of a target, of which some schemes list several, and others name none."""
    scheme = _scheme(target)
    rest = target.partition(":")[2] if scheme else target
    if scheme in ("ipv4", "ipv6"):
        return rest.removeprefix("///").split(",")
    if scheme == "dns":
        return [rest.removeprefix("///")]  # what names a name server of its own keeps its slashes, and is no host
    return [] if scheme else [rest]


def _is_loopback_host(address: str) -> bool:
    bracketed = re.fullmatch(r"\[(.+)\](:\w+)?", address)
    host = bracketed[1] if bracketed else address.rpartition(":")[0] if address.count(":") == 1 else address
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
