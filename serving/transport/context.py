"""Context: what gRPC says about a call, and takes its answer; and what the caller sent beside its message."""

from collections.abc import Sequence
from typing import Any

import grpc

Context = grpc.aio.ServicerContext[Any, Any]
"""Of a call of any kind, whatever its messages are."""
Metadata = Sequence[tuple[str, str | bytes]]
"""What a caller sent beside its message."""
