"""The addresses that a gRPC target names, and whether they lie on this machine. Imports no gRPC."""

import ipaddress
import re

_WITHOUT_PORT = ("unix", "unix-abstract", "vsock", "xds", "google-c2p")  # schemes


def is_loopback(target: str) -> bool:
    """Whether every address of a gRPC target lies on this machine. In doubt: False."""
    scheme = _scheme(target)
    if scheme in ("unix", "unix-abstract"):
        return True
    return all(_is_loopback_host(address) for address in addresses(target) or [target])


def _scheme(target: str) -> str:
    """Returns the scheme of a target, in lower case; empty if it is HOST:PORT."""
    scheme, separator, rest = target.partition(":")
    scheme = scheme.lower()
    is_scheme = separator and (scheme in (*_WITHOUT_PORT, "dns", "ipv4", "ipv6") or rest.startswith("//"))
    return scheme if is_scheme else ""


def addresses(target: str) -> list[str]:
    """Returns each HOST:PORT of a target. Some schemes list several; others name none."""
    scheme = _scheme(target)
    rest = target.partition(":")[2] if scheme else target
    if scheme in ("ipv4", "ipv6"):
        return rest.removeprefix("///").split(",")
    if scheme == "dns":
        return [rest.removeprefix("///")]  # a target that names its name server keeps its slashes: not a host
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
