"""gRPC's core, on which gRPC's own Python servers are built. These parts of grpcio are not public."""

from typing import Any

import grpc

try:
    from grpc._cython.cygrpc import (  # type: ignore[import-not-found]  # the stubs do not have it
        CompletionQueue,
        CompletionType,
        ReceiveCloseOnServerOperation,
        ReceiveMessageOperation,
        SendInitialMetadataOperation,
        SendMessageOperation,
        SendStatusFromServerOperation,
        Server,
    )
except ImportError as exc:
    raise ImportError(f"the service does not run on grpcio {grpc.__version__}; it was tested on 1.84 and 1.85") from exc

Event = Any
"""What has become of an operation, or a call that gRPC hands over."""

__all__ = [
    "CompletionQueue",
    "CompletionType",
    "Event",
    "ReceiveCloseOnServerOperation",
    "ReceiveMessageOperation",
    "SendInitialMetadataOperation",
    "SendMessageOperation",
    "SendStatusFromServerOperation",
    "Server",
]
