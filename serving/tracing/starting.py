"""Whether spans are made: OpenTelemetry's own environment variables say so. It reads all the others itself."""

import logging
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from vaeserve.errors import StartupError

if TYPE_CHECKING:
    from serving.tracing.spans import Spans

_log = logging.getLogger(__name__)

_EXPORTER = "OTEL_TRACES_EXPORTER"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_OTLP = {"": "otlp_proto_grpc", "grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}


def start_spans(variables: Mapping[str, str]) -> "Spans | None":
    """Returns what makes spans; None if nothing asks for them, or the extra `otel` is not installed.

    Args:
        variables: of the environment.

    Raises:
        StartupError: an exporter that is asked for is not installed, or cannot start.
    """
    names = list(_exporters(variables))
    if not names:
        return None
    try:
        from serving.tracing.spans import spans_to
    except ModuleNotFoundError as exc:
        _log.warning("no spans are made: %s is set, but the extra otel is not installed (%s)", _asking(variables), exc)
        return None
    spans = spans_to([_load(name) for name in names])
    _log.info("spans are exported by %s", ", ".join(names))
    return spans


def _exporters(variables: Mapping[str, str]) -> Iterator[str]:
    """Yields the names of the exporters that are asked for; naming an endpoint asks for one too."""
    if variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return
    default = "otlp" if any(variables.get(name) for name in _ENDPOINTS) else "none"
    protocol = next(filter(None, map(variables.get, _PROTOCOLS)), "").strip()
    for name in map(str.strip, (variables.get(_EXPORTER) or default).split(",")):
        if name == "otlp":
            yield _OTLP.get(protocol, protocol)
        elif name not in ("", "none"):
            yield name


def _asking(variables: Mapping[str, str]) -> str:
    return next(name for name in (_EXPORTER, *_ENDPOINTS) if variables.get(name))


def _load(name: str) -> Any:  # noqa: ANN401, opentelemetry is not imported here
    """Returns the exporter of a name, which an installed package has entered for it."""
    entries = list(entry_points(group="opentelemetry_traces_exporter", name=name))
    if not entries:
        raise StartupError(f"{_EXPORTER}: no exporter of the name {name} is installed")
    try:
        return entries[0].load()()
    except Exception as exc:
        raise StartupError(f"{_EXPORTER}: the exporter {name} cannot start: {exc}") from exc
