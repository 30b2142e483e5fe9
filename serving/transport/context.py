"""Context: what gRPC says about a call, and takes its answer."""

from typing import Any

import grpc

Context = grpc.aio.ServicerContext[Any, Any]
"""Of a call of any kind, whatever its messages are."""
