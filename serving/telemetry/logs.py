"""The log: lines of text for people, or of JSON for machines, on the error stream.

What callers send does not reach it as it came: bytes that are no text are left out, other characters than visible ones
are escaped. Nor can callers fill it: of the lines that a call can cause, one place in the code writes only so many a
minute.
"""

import json
import logging
import re
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal

import grpc

from serving.transport.request_ids import current_request_id

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def set_up_logs(level: str, style: Literal["text", "json"]) -> None:
    """Logs what is at least as severe as the level, from now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if style == "json" else _Text())
    handler.addFilter(_is_worth_a_line)
    handler.addFilter(_Bounded())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.getLogger("grpc._cython.cygrpc").setLevel(logging.INFO)  # else level debug tells every turn of its loop


def announce(logger: logging.Logger, message: str, style: Literal["text", "json"]) -> None:
    """Writes a line to the standard output; if that cannot be written to, the log says so and all goes on."""
    record = logger.makeRecord(logger.name, logging.INFO, "", 0, message, (), None)
    try:
        print(message if style == "text" else _Json().format(record), flush=True)
    except OSError as exc:
        logger.warning("cannot write to the standard output: %s", exc.strerror)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Leaves out two kinds of tracebacks of gRPC's, of which callers can make any number.

    One is of an answer that found its caller gone. The other is of metadata that is no UTF-8, and shows it, the token
    among it.
    """
    is_grpcs = record.name == "root" or record.name.startswith("grpc.")
    return not (is_grpcs and record.exc_info and isinstance(record.exc_info[1], grpc.aio.InternalError | UnicodeError))


class _Bounded(logging.Filter):
    """Lets pass, of the warnings and errors that a caller can cause, the first of each minute from each place.

    A place is a line of the code, so what is remembered is bounded too.
    """

    _CAUSED_BY_CALLERS = re.compile(r"(grpc|asyncio)(\..*)?|root|serving\.(transport\.status|batching\.executor)")
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
    """`12:00:00 ERROR   message [request id]` on one line, and the traceback below."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802, the name is given
        line = _escaped(super().formatMessage(record))
        request_id = _request_id_of(record)
        return line if request_id is None else f"{line} [{request_id}]"

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802, the name is given
        return "\n".join(map(_escaped, super().formatException(ei).split("\n")))


def _escaped(line: str) -> str:
    """Returns a line with nothing in it that would end it, or move a terminal's cursor."""
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


class _Json(logging.Formatter):
    """One object a line. `request_id` and `exception` are there where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC)
        said = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": _request_id_of(record),
            "exception": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return json.dumps({key: value for key, value in said.items() if value is not None})


def _request_id_of(record: logging.LogRecord) -> str | None:
    found = getattr(record, "request_id", None) or current_request_id()
    return None if found is None else str(found)
