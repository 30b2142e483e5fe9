"""The span of the call that this code runs for, if one is recorded."""

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.tracing.call_span import CallSpan

current_span: "ContextVar[CallSpan | None]" = ContextVar("current_span", default=None)
"""None outside of calls, and in calls that are not recorded."""
