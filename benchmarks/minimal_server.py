"""A minimal gRPC server in Python: answers every unary call with the same bytes, without reading the request.

python -m benchmarks.minimal_server aio|uvloop|threads REPLY_FILE
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import uvloop

THREADS = 4  # the handler never waits, so more threads only compete for the interpreter
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)]


class Answering(grpc.GenericRpcHandler):
    """Answers every method with one handler."""

    def __init__(self, handler: "grpc.RpcMethodHandler[bytes, bytes]") -> None:
        self._handler = handler

    def service(self, _: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        """Returns the handler."""
        return self._handler


async def serve_aio(reply: bytes) -> None:
    """Serves on an event loop."""

    async def answer(_request: bytes, _context: object) -> bytes:
        return reply

    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((Answering(grpc.unary_unary_rpc_method_handler(answer)),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"answering on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


def serve_threads(reply: bytes) -> None:
    """Serves on threads."""
    server = grpc.server(ThreadPoolExecutor(THREADS), options=OPTIONS)
    server.add_generic_rpc_handlers((Answering(grpc.unary_unary_rpc_method_handler(lambda *_: reply)),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"answering on 127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    content = Path(sys.argv[2]).read_bytes()
    if sys.argv[1] == "threads":
        serve_threads(content)
    else:
        run = {"aio": asyncio.run, "uvloop": uvloop.run}[sys.argv[1]]
        run(serve_aio(content))
