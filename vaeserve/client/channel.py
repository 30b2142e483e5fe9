"""How a client reaches a server: target, credentials and channel options, checked before anything is sent."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import grpc
import grpc.aio

from vaeserve.addresses import is_loopback
from vaeserve.client.targets import check_target
from vaeserve.errors import InvalidInput

# C-core makes at most 5 attempts. With these pauses, 3 s in all, a server that restarts is met again, and one that is
# not there is reported soon.
_STREAMS = ("CallStream", "SampleStream")
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{"service": "vae.v1.VaeService"}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.2s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                # A server that stops may answer CANCELLED to a call that it has not begun. The caller's own cancelling
                # ends the call without a look at this list.
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        },
        # Streams are resumed by the client, which need not keep, as gRPC does, all that was sent.
        {"name": [{"service": "vae.v1.VaeService", "method": name} for name in _STREAMS]},
    ],
}
_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.enable_retries", 1),
    ("grpc.per_rpc_retry_buffer_size", 2**31 - 1),  # a request past it (256 KiB by default) is never retried
    ("grpc.initial_reconnect_backoff_ms", 100),  # 1 s by default: attempts would meet the old failure, not a new try
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.max_receive_message_length", -1),  # the server's limits are the ones that count
    ("grpc.max_send_message_length", -1),
)


class Connection(NamedTuple):
    """What sync and async channels are opened with."""

    target: str
    credentials: grpc.ChannelCredentials | None
    """None: plaintext."""
    options: tuple[tuple[str, str | int], ...]
    metadata: tuple[tuple[str, str], ...]
    """Sent with every call."""


def connection(
    target: str,
    *,
    token: str | None = None,
    tls: bool = False,
    root_certificates: str | Path | None = None,
    client_certificate: str | Path | None = None,
    client_key: str | Path | None = None,
    bulk: bool = False,
) -> Connection:
    """Checks how a server is to be reached, before anything is sent.

    Args:
        target: HOST:PORT, or any gRPC target, for example `dns:///host:port` or `unix:/path`.
        token: bearer token; travels over TLS, or in plaintext to this machine itself.
        tls: whether to use TLS; certificates imply it.
        root_certificates: PEM file of the authorities to trust instead of the system's.
        client_certificate: PEM file of the certificate chain to present, with its key.
        client_key: PEM file of its private key.
        bulk: whether calls yield to interactive ones.

    Raises:
        InvalidInput: the target names no port, the options contradict each other, a file cannot be read, or the token
            would travel in the clear.
    """
    check_target(target)
    if (client_certificate is None) != (client_key is None):
        raise InvalidInput("client_certificate", "needs client_key, and the other way round")
    credentials = None
    if tls or root_certificates or client_certificate:
        credentials = grpc.ssl_channel_credentials(
            _read_pem("root_certificates", root_certificates),
            _read_pem("client_key", client_key),
            _read_pem("client_certificate", client_certificate),
        )
    loopback = is_loopback(target)
    if token is not None:
        _check_token(token, target, safe=loopback or credentials is not None)
    return Connection(
        target=target,
        credentials=credentials,
        # What is said to this machine goes to this machine, whatever http_proxy says.
        options=(*_OPTIONS, ("grpc.enable_http_proxy", 0)) if loopback else _OPTIONS,
        metadata=(
            *(() if token is None else (("authorization", f"Bearer {token}"),)),
            *((("vae-class", "bulk"),) if bulk else ()),
        ),
    )


def open_channel(connection: Connection) -> grpc.Channel:
    """Returns a channel that blocks. It connects when the first call is made."""
    if connection.credentials is None:
        return grpc.insecure_channel(connection.target, connection.options)
    return grpc.secure_channel(connection.target, connection.credentials, connection.options)


def open_async_channel(connection: Connection) -> grpc.aio.Channel:
    """Returns a channel of the running event loop."""
    if connection.credentials is None:
        return grpc.aio.insecure_channel(connection.target, connection.options)
    return grpc.aio.secure_channel(connection.target, connection.credentials, connection.options)


def _check_token(token: str, target: str, *, safe: bool) -> None:
    if not isinstance(token, str) or not re.fullmatch(
        r"[\x21-\x7e]+", token
    ):  # gRPC would show the whole header in its complaint
        raise InvalidInput("token", "must be one word of visible ASCII characters")
    if not safe:
        raise InvalidInput("token", f"would travel unencrypted to {target}: use TLS")


def _read_pem(field: str, path: str | Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        content = Path(path).read_bytes()
    except OSError as exc:
        raise InvalidInput(field, f"cannot read {path}: {exc.strerror}") from exc
    if b"-----BEGIN " not in content:  # gRPC would call the server unreachable
        raise InvalidInput(field, f"{path} is no PEM file")
    return content
