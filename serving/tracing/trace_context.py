"""TraceContext: which trace a call belongs to, as callers say it in the W3C headers `traceparent` and `tracestate`.

What the standard calls invalid is ignored, as it asks: a call is never refused because of it.
"""

import re
from typing import NamedTuple

PARENT_KEY, STATE_KEY = "traceparent", "tracestate"

# Version, trace id, parent id, flags, and what a later version may add. Zeros alone are not an id; ff is not a version.
_PARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MEMBER = re.compile(
    r"([a-z0-9][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_MAXIMUM_MEMBERS = 32
_MAXIMUM_STATE = 2**14  # characters; a stream's call could send as many as a message holds
_KNOWN_FLAGS = 0b11  # sampled, and random trace id


class TraceContext(NamedTuple):
    """The place of a call in its caller's trace."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits: the caller's own span."""
    flags: int
    """Bit 0: sampled."""
    state: str
    """What tracing systems say beside it, as it was sent: see `read_state`. Empty if it is too long to be read."""


def read_trace_context(parent: str, state: str) -> TraceContext | None:
    """Returns what a caller's `traceparent` and `tracestate` say; None if the first is not valid."""
    matched = _PARENT.fullmatch(parent)
    if matched is None:
        return None
    version, trace_id, span_id, flags, more = matched.groups()
    if version == "00" and more is not None:
        return None
    state = state if len(state) <= _MAXIMUM_STATE else ""
    return TraceContext(trace_id, span_id, int(flags, 16) & _KNOWN_FLAGS, state)


def read_state(state: str) -> list[tuple[str, str]]:
    """Returns the members of a trace state; none of them if any is invalid."""
    members = [member for part in state.split(",") if (member := part.strip(" \t"))]
    pairs = [member.partition("=")[::2] for member in members if _MEMBER.fullmatch(member)]
    are_valid = len(pairs) == len(members) == len(dict(pairs)) <= _MAXIMUM_MEMBERS
    return pairs if are_valid else []
