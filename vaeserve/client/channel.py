"""Channels: a server's target, credentials and channel options, checked before anything is sent."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import grpc
import grpc.aio

from vaeserve.addresses import is_loopback
from vaeserve.client.targets import check_target
from vaeserve.errors import InvalidInput

# gRPC makes at most 5 attempts. These pauses, 3 s in all, are long enough for a server to restart and short enough to
# report a missing one soon.
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
                # A server that stops may answer CANCELLED to a call that it has not begun. A call that its caller
                # cancels is not retried, whatever this list says.
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        },
        # The client resumes streams itself, because gRPC would have to keep everything that was sent.
        {"name": [{"service": "vae.v1.VaeService", "method": name} for name in _STREAMS]},
    ],
}
_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.enable_retries", 1),
    ("grpc.per_rpc_retry_buffer_size", 2**31 - 1),  # a larger request (256 KiB by default) is never retried
    ("grpc.initial_reconnect_backoff_ms", 100),  # 1 s by default: attempts would repeat the old failure
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.max_receive_message_length", -1),  # the server's limits are the ones that count
    ("grpc.max_send_message_length", -1),
)


class Connection(NamedTuple):
    """What a channel, blocking or asynchronous, is opened with."""

    target: str
    credentials: grpc.ChannelCredentials | None
    """None: no TLS."""
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
    """Checks the options of a connection, before anything is sent.

    Args:
        target: HOST:PORT, or any gRPC target, for example `dns:///host:port` or `unix:/path`.
        token: bearer token; sent only over TLS or to this machine.
        tls: whether to use TLS; certificates imply it.
        root_certificates: PEM file of the authorities to trust instead of the system's.
        client_certificate: PEM file of the certificate chain to present; needs `client_key`.
        client_key: PEM file of its private key.
        bulk: whether calls yield to interactive calls.

    Raises:
        InvalidInput: the target has no port, the options contradict each other, a file cannot be read, or the token
            would be sent unencrypted.
    """
    check_target(target)
    if (client_certificate is None) != (client_key is None):
        raise InvalidInput("client_certificate", "must be given together with client_key")
    uses_tls = bool(tls or root_certificates or client_certificate)
    credentials = _credentials(root_certificates, client_certificate, client_key) if uses_tls else None
    loopback = is_loopback(target)
    if token is not None:
        _check_token(token, target, safe=loopback or credentials is not None)
    return Connection(
        target=target,
        credentials=credentials,
        # Connections to this machine do not use a proxy, whatever http_proxy says.
        options=(*_OPTIONS, ("grpc.enable_http_proxy", 0)) if loopback else _OPTIONS,
        metadata=(
            *(() if token is None else (("authorization", f"Bearer {token}"),)),
            *((("vae-class", "bulk"),) if bulk else ()),
        ),
    )


def open_channel(connection: Connection) -> grpc.Channel:
    """Returns a blocking channel. It connects when the first call is made."""
    if connection.credentials is None:
        return grpc.insecure_channel(connection.target, connection.options)
    return grpc.secure_channel(connection.target, connection.credentials, connection.options)


def open_async_channel(connection: Connection) -> grpc.aio.Channel:
    """Returns an asynchronous channel that belongs to the running event loop."""
    if connection.credentials is None:
        return grpc.aio.insecure_channel(connection.target, connection.options)
    return grpc.aio.secure_channel(connection.target, connection.credentials, connection.options)


def _credentials(
    root_certificates: str | Path | None, client_certificate: str | Path | None, client_key: str | Path | None
) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        _read_pem("root_certificates", root_certificates),
        _read_pem("client_key", client_key),
        _read_pem("client_certificate", client_certificate),
    )


def _check_token(token: str, target: str, *, safe: bool) -> None:
    if not isinstance(token, str) or not re.fullmatch(
        r"[\x21-\x7e]+", token
    ):  # gRPC would print the whole header in its error
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
    if b"-----BEGIN " not in content:  # gRPC would report an unreachable server
        raise InvalidInput(field, f"{path} is not a PEM file")
    return content
