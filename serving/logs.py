"""The log: lines of text for people, or of JSON for machines, on the error stream."""

import json
import logging
from datetime import UTC, datetime
from typing import Literal

import grpc

from serving.request_ids import current_request_id


def set_up_logs(level: str, style: Literal["text", "json"]) -> None:
    """Logs what is at least as severe as the level, from now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if style == "json" else _Text())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    front = logging.getLogger("grpc._cython.cygrpc")
    front.setLevel(logging.INFO)  # else level debug tells every turn of its loop
    front.addFilter(_is_worth_a_line)


def announce(logger: logging.Logger, message: str, style: Literal["text", "json"]) -> None:
    """Writes a line to the standard output; if that cannot be written to, the log says so and all goes on."""
    record = logger.makeRecord(logger.name, logging.INFO, "", 0, message, (), None)
    try:
        print(message if style == "text" else _Json().format(record), flush=True)
    except OSError as exc:
        logger.warning("cannot write to the standard output: %s", exc.strerror)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Leaves out answers that found their caller gone: gRPC logs a traceback for each, and overload makes many."""
    return not (record.exc_info and isinstance(record.exc_info[1], grpc.aio.InternalError))


class _Text(logging.Formatter):
    """`12:00:00 ERROR   message [request id]`, and the traceback below."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802, the name is given
        line = super().formatMessage(record)
        request_id = _request_id_of(record)
        return line if request_id is None else f"{line} [{request_id}]"


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
