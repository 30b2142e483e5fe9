"""The log: lines of text for people, or of JSON for machines, on the error stream.

Callers cannot forge its lines: what they send is escaped, and bytes that are not text are left out. Nor can they fill
it: each line of code writes only a few a minute of the lines that callers can cause.
"""

import json
import logging
import re
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal

from serving.transport.request_ids import RequestId, current_request_id

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def set_up_logs(level: str, style: Literal["text", "json"]) -> None:
    """Sets up the log: lines at least as severe as the level, in one of two styles."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if style == "json" else _Text())
    handler.addFilter(_is_worth_a_line)
    handler.addFilter(_Bounded())
    logging.basicConfig(level=level.upper(), handlers=[handler])


def announce(logger: logging.Logger, message: str, style: Literal["text", "json"]) -> None:
    """Writes a line to the standard output. If that fails, the log says so and the process goes on."""
    record = logger.makeRecord(logger.name, logging.INFO, "", 0, message, (), None)
    try:
        print(message if style == "text" else _Json().format(record), flush=True)
    except OSError as exc:
        logger.warning("cannot write to the standard output: %s", exc.strerror)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Whether a line is not gRPC's traceback about metadata that is not UTF-8.

    Callers can cause any number of them, and they print the metadata, the token included.
    """
    is_grpcs = record.name.startswith("grpc.")
    return not (is_grpcs and record.exc_info and isinstance(record.exc_info[1], UnicodeError))


class _Bounded(logging.Filter):
    """Of the warnings and errors that a caller can cause, lets pass the first few a minute from each place.

    A place is a line of the code, so the memory of the filter is bounded too.
    """

    _CAUSED_BY_CALLERS = re.compile(
        r"(grpc|asyncio|opentelemetry)(\..*)?|root|serving\.(transport\.(status|front|completions)|batching\.executor)"
    )
    _LINES = 10
    _SECONDS = 60.0

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[tuple[str, str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or not self._CAUSED_BY_CALLERS.fullmatch(record.name):
            return True
        place, now = (record.name, record.pathname, record.lineno), time.monotonic()
        began, lines = self._passed.get(place, (now, 0))
        if now - began >= self._SECONDS:
            began, lines = now, 0
        self._passed[place] = began, lines + 1
        if lines == self._LINES - 1:
            record.msg, record.args = (
                f"{record.getMessage()} (more lines from this place are left out for a minute)",
                None,
            )
        return lines < self._LINES


class _Text(logging.Formatter):
    """`12:00:00 ERROR   message [request id] trace_id=... span_id=...` on one line, and the traceback below."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802, the name is logging's
        line = _escaped(super().formatMessage(record))
        request_id = _request_id_of(record)
        if request_id is None:
            return line
        trace = request_id.trace
        ids = "" if trace is None else f" trace_id={trace.trace_id} span_id={trace.span_id}"
        return f"{line} [{request_id}]{ids}"

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802, the name is logging's
        return "\n".join(map(_escaped, super().formatException(ei).split("\n")))


def _escaped(line: str) -> str:
    """Returns a line without characters that would end it, or move a terminal's cursor."""
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


class _Json(logging.Formatter):
    """One object a line, with `request_id`, `trace_id`, `span_id` and `exception` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC)
        request_id = _request_id_of(record)
        trace = None if request_id is None else request_id.trace
        fields = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": None if request_id is None else str(request_id),
            "trace_id": None if trace is None else trace.trace_id,
            "span_id": None if trace is None else trace.span_id,
            "exception": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return json.dumps({key: value for key, value in fields.items() if value is not None})


def _request_id_of(record: logging.LogRecord) -> RequestId | None:
    request_id: RequestId | None = getattr(record, "request_id", None)
    return current_request_id() if request_id is None else request_id
