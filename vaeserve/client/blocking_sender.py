"""The sender of the blocking client: one request of a unary RPC, sent again when the server asks for that."""

import threading
import time
from collections.abc import Callable

import grpc
from google.protobuf.message import Message

from vaeserve.client.call import Reply
from vaeserve.client.endpoint import Endpoint
from vaeserve.client.failures import client_closed, pause_before_retry


class BlockingSender:
    """Sends requests from any number of threads.

    Args:
        endpoint: the server.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._closing = threading.Event()

    def stop(self) -> None:
        """Ends every wait for the next try, after the endpoint was closed."""
        self._closing.set()

    def send(self, rpc: Callable[..., Reply], request: Message, seconds: float) -> Reply:
        """Returns the reply to a request.

        Raises:
            CallError: the server or the network answered with an error, or the client is closed.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                return rpc(request, timeout=deadline - time.monotonic(), metadata=self._endpoint.metadata())
            except grpc.RpcError as exc:
                if self._endpoint.is_closed:
                    raise client_closed() from exc
                pause = pause_before_retry(exc, self._endpoint.connection.target, seconds, deadline)
            except ValueError as exc:
                if not self._endpoint.is_closed:
                    raise
                raise client_closed() from exc
            self._closing.wait(pause)
