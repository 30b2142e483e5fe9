"""TLS: the certificate that the server presents, and those that it asks of clients."""

import ssl
from pathlib import Path

import grpc

from serving.settings import Settings, wrong
from serving.transport.file_watch import FileWatch
from vaeserve.errors import StartupError


def server_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """Returns what the port is opened with; None: plaintext. Every handshake looks whether the files have changed.

    Raises:
        StartupError: a file cannot be read, is not a certificate or key, or the key belongs to another certificate.
    """
    certificate, key, authorities = settings.tls_certificate, settings.tls_key, settings.tls_client_authorities
    if certificate is None or key is None:  # the settings have both or neither
        return None
    files = [file for file in (certificate, key, authorities) if file]
    watch = FileWatch("certificates", files, lambda: _read(certificate, key, authorities))
    configuration = watch.current()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        """Returns a new configuration, or None to go on with the old one."""
        nonlocal configuration
        before, configuration = configuration, watch.current()
        return None if configuration is before else configuration

    return grpc.dynamic_ssl_server_credentials(
        configuration,
        changed,  # type: ignore[arg-type]  # the stub does not know None
        require_client_authentication=authorities is not None,
    )


def _read(certificate: Path, key: Path, authorities: Path | None) -> grpc.ServerCertificateConfiguration:
    chain, secret = _read_file("tls_certificate", certificate), _read_file("tls_key", key)
    trusted = None if authorities is None else _read_file("tls_client_authorities", authorities)
    # gRPC would accept broken files, and then refuse every handshake without a word.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError) as exc:
        raise _explain(context, certificate, key, exc) from exc
    if trusted is not None:
        try:
            context.load_verify_locations(cadata=trusted.decode("ascii"))
        except (ssl.SSLError, ValueError) as exc:
            raise wrong("tls_client_authorities", f"{authorities} holds no PEM certificate") from exc
    return grpc.ssl_server_certificate_configuration([(secret, chain)], trusted)


def _read_file(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise wrong(name, f"cannot read {path}: {exc.strerror}") from exc


def _explain(context: ssl.SSLContext, certificate: Path, key: Path, error: OSError) -> StartupError:
    """Returns an error that says which of a certificate and a key is wrong."""
    reason = getattr(error, "reason", None) or "not understood"
    if reason == "KEY_VALUES_MISMATCH":
        return wrong("tls_key", f"{key} is not the key of {certificate}")
    try:
        context.load_verify_locations(certificate)
    except (ssl.SSLError, OSError):
        return wrong("tls_certificate", f"{certificate} holds no PEM certificate")
    return wrong("tls_key", f"{key} holds no PEM key without a password ({reason})")
