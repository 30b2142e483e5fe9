"""Settings: one frozen value, read once. Every field is also an environment variable: VAE_PORT, VAE_BATCH_ROWS, ..."""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vaeserve.addresses import is_loopback
from vaeserve.errors import InvalidInput, StartupError
from vaeserve.records import first_problem

_PREFIX = "VAE_"
_OF_CLIENTS = ("target",)  # variables that other verbs read
# What Kubernetes sets for every Service, here for one whose name begins with vae: NAME=VALUE.
_OF_KUBERNETES = re.compile(r"\w*(SERVICE_(HOST|PORT\w*)|PORT_\d+_(TCP|UDP|SCTP)\w*)=.*|\w+=(tcp|udp|sctp)://.*")
_LONGEST = 10.0**6  # seconds; what gRPC counts in milliseconds, as an int

GROUPS = {
    "package": "model",
    "host": "where to listen",
    "provider": "computing",
    "batch_rows": "batches and queues",
    "call_rows": "limits of a call",
    "connection_calls": "limits of connections (0 seconds: no limit; keepalive_timeout_seconds cannot be 0)",
    "tls_certificate": "security",
    "drain_seconds": "stopping",
    "metrics_port": "metrics and log",
}
"""Title of each group of settings, by the name of the first setting in it."""


def _default_cache() -> Path:
    home = os.environ.get("HOME") or tempfile.gettempdir()  # a user that only a container knows has none
    return Path(os.environ.get("XDG_CACHE_HOME") or f"{home}/.cache") / "vaeserve"


class Settings(BaseModel):
    """How to serve. A flag of `vae serve` wins over the variable, the variable over the default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    package: Path = Field(description="a model package, or a directory with packages below it")
    versions: int = Field(
        2, ge=1, le=1000, description="maximum number of versions of one name that are served, the newest first"
    )
    default_model: str = Field(
        "", description="name of the model for callers who name none; empty: they get the only one"
    )
    watch: Literal["on", "off"] = Field(
        "on", description="whether new packages are taken as they come; off: only on SIGHUP"
    )
    wait_for_package: bool = Field(
        False,
        description="start without a good package: wait for one and be not ready, instead of ending with an error",
    )
    load_seconds: float = Field(
        600.0, gt=0, le=_LONGEST, description="maximum time that loading a package may take, its checks included"
    )
    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0: every interface")
    port: int = Field(50051, ge=0, le=65535, description="port to listen on; 0: a free one")
    socket: Path | None = Field(None, description="Unix socket to listen on, instead of host and port")
    provider: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="what runs the graphs; cuda: do not start without a GPU; auto: a GPU if there is one, else the CPU",
    )
    executors: int = Field(0, ge=0, le=1024, description="batches that run at the same time; 0: chosen automatically")
    threads: int = Field(0, ge=0, le=1024, description="threads of one batch; 0: chosen automatically")
    batch_rows: int = Field(0, ge=0, le=65_536, description="maximum rows in one batch; 0: chosen automatically")
    activation_bytes: int = Field(
        0,
        ge=0,
        le=2**44,
        description="maximum memory of one batch where pictures may have any size, of which larger ones are refused; "
        "0: four fifths of what is free when a model is loaded, over its executors; on a GPU no limit",
    )
    tuning_cache: Path = Field(
        default_factory=_default_cache, description="directory in which `vae tune` keeps its results"
    )
    wait_milliseconds: float = Field(
        0.0, ge=0, le=1000, description="maximum time that a free device waits for a batch to fill"
    )
    queue_rows: int = Field(
        65_536, ge=1, le=2**31, description="maximum rows waiting for one graph; beyond it calls are refused"
    )
    queue_bytes: int = Field(
        256 * 2**20,
        ge=1,
        le=2**40,
        description="maximum bytes of rows waiting for one graph; one call always fits",
    )
    call_rows: int = Field(16_384, ge=1, le=2**31, description="maximum rows in one call")
    message_bytes: int = Field(
        64 * 2**20,
        ge=2**16,
        le=2**30,
        description="maximum size of a request; call_rows is lowered so that replies stay below it too",
    )
    held_bytes: int = Field(
        256 * 2**20,
        ge=2**24,
        le=2**44,
        description="maximum memory held for all callers, in requests and replies not yet written; more is refused",
    )
    stream_bytes: int = Field(
        8 * 2**20,
        ge=1,
        le=2**40,
        description="maximum bytes of one stream's calls and replies in flight; one call always fits",
    )
    connection_calls: int = Field(
        2048,
        ge=1,
        le=2**31 - 1,
        description="maximum calls in flight on one connection; the caller's gRPC holds further calls back",
    )
    in_flight_calls: int = Field(
        8192,
        ge=0,
        le=2**31 - 1,
        description="maximum calls in flight over all connections; beyond it calls are refused; 0: no limit",
    )
    connection_idle_seconds: float = Field(
        3600.0, ge=0, le=_LONGEST, description="a connection without a call is closed after this time"
    )
    connection_age_seconds: float = Field(
        0.0, ge=0, le=_LONGEST, description="after this time, give or take 10 %, a connection takes no new calls"
    )
    connection_age_grace_seconds: float = Field(
        0.0, ge=0, le=_LONGEST, description="time that calls in flight on such a connection then get to finish"
    )
    keepalive_seconds: float = Field(
        60.0, ge=0, le=_LONGEST, description="after this silence the server asks whether the caller is still there"
    )
    keepalive_timeout_seconds: float = Field(
        20.0, ge=0.001, le=_LONGEST, description="time that the caller has to answer; then its calls are cancelled"
    )
    client_ping_seconds: float = Field(
        10.0,
        ge=0,
        le=_LONGEST,
        description="minimum time between a client's own pings; a client that pings more often is cut off",
    )
    tls_certificate: Path | None = Field(
        None, description="PEM certificate chain; without it the server speaks plaintext; read again when it changes"
    )
    tls_key: Path | None = Field(None, description="PEM private key of the certificate, without a password")
    tls_client_authorities: Path | None = Field(
        None, description="PEM certificates; callers must show a certificate that one of these has signed"
    )
    token_file: Path | None = Field(
        None, description="file of bearer tokens, one a line; callers must send one of them; read again when it changes"
    )
    tls_ends_elsewhere: bool = Field(
        False,
        description="accept tokens in plaintext from other machines, because a proxy in front of this server ends TLS",
    )
    drain_seconds: float = Field(
        0.2,
        ge=0,
        le=3600,
        description="time after SIGTERM in which new calls are still taken, so that load balancers see NOT_SERVING",
    )
    grace_seconds: float = Field(8.0, ge=0, le=3600, description="time that calls in flight then get to finish")
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="HTTP port that answers Prometheus and health probes; without it there is none; 0: a free one",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe level that is logged"
    )
    log_format: Literal["text", "json"] = Field("text", description="json: one object a line")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.queue_rows < self.call_rows:
            raise ValueError(f"queue_rows ({self.queue_rows}) must hold a whole call, call_rows ({self.call_rows})")
        return self

    @model_validator(mode="after")
    def _secure(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key must be given together")
        if self.tls_client_authorities and not self.tls_certificate:
            raise ValueError("tls_client_authorities needs tls_certificate and tls_key")
        is_local = self.socket is not None or is_loopback(self.host)
        if self.token_file and not (self.tls_certificate or self.tls_ends_elsewhere or is_local):
            raise ValueError(
                f"token_file: tokens would travel unencrypted to {self.host}; "
                "set tls_certificate and tls_key, or tls_ends_elsewhere behind a proxy that ends TLS"
            )
        return self


def read_settings(flags: dict[str, str]) -> Settings:
    """Returns the settings from flags over environment variables over defaults.

    Args:
        flags: values given on the command line, by field name, as text.

    Raises:
        StartupError: a value is missing or out of range; names the setting.
    """
    variables = {name.lower(): value for name, value in os.environ.items()}
    named = {name: variables.get(f"{_PREFIX}{name}".lower()) for name in Settings.model_fields}
    values = {name: value for name, value in named.items() if value is not None}
    try:
        return Settings.model_validate({**values, **flags})  # all of it is text, which pydantic parses
    except ValidationError as exc:
        name, message, *_ = first_problem(exc)
        raise (wrong(name, message) if name else StartupError(message)) from exc


def settings_of(**arguments: object) -> Settings:
    """Returns the settings that arguments name, and the defaults of all others, whatever the environment says.

    Raises:
        InvalidInput: an argument is out of range; names it.
    """
    try:
        return Settings.model_validate(arguments)
    except ValidationError as exc:
        name, message, *_ = first_problem(exc)
        raise InvalidInput(name, message) from exc


def misspelt(variables: Mapping[str, str]) -> Iterator[str]:
    """Yields a line about each environment variable that looks like a setting and is not one."""
    known = [name.upper() for name in (*Settings.model_fields, *_OF_CLIENTS)]
    for variable, value in sorted(variables.items()):
        name = variable.upper().removeprefix(_PREFIX)
        if name == variable.upper() or name in known or _OF_KUBERNETES.fullmatch(f"{name}={value}"):
            continue
        near = get_close_matches(name, known, n=1)
        yield f"{variable} is not a setting, and is ignored" + (f"; did you mean {_PREFIX}{near[0]}?" if near else "")


def wrong(name: str, message: str) -> StartupError:
    """Returns the error that says what is wrong with a setting."""
    return StartupError(f"setting {name} (VAE_{name.upper()}): {message}")
