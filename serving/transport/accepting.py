"""Accepting: takes calls over from gRPC, several of a method in one turn of the event loop.

grpc.aio by itself asks for one call of each method at a time, and after each call it waits anew for all methods. With
64 callers that took a fifth of a small call's time, and calls that had come together reached the batcher one by one.

It uses parts of grpcio that are not public. Where a version of grpcio has other parts, gRPC's own loop is used.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Never

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # the stubs do not have it

_log = logging.getLogger(__name__)

_CALLS = 8  # of a method, that gRPC may hand over in one turn; with 1 there was no gain, 16 were no better
_PARTS = {
    "_handle_rpc": ["method_name", "method_resolver", "interceptors", "rpc_state", "loop", "concurrency_exceeded"],
    "_schedule_rpc_coro": ["rpc_coro", "rpc_state", "loop", "method_name"],
}

RpcState = Any
"""A call, as gRPC hands it over; the stubs do not have it."""


def server_class() -> type[cygrpc.AioServer]:
    """Returns the class of a server that takes several calls over at once; gRPC's own where grpcio has other parts."""
    are_there = hasattr(cygrpc.AioServer, "_make_request_call_future") and hasattr(cygrpc, "_MethodResolver")
    is_known = are_there and all(_parameters(name) == parameters for name, parameters in _PARTS.items())
    if not is_known:
        _log.info("grpcio %s has other parts: calls are taken over one at a time", grpc.__version__)
    return AcceptingServer if is_known else cygrpc.AioServer


class Accepting:
    """Takes over the calls of a server's methods.

    Args:
        handlers: of all methods, in the order in which they are asked.
        request: asks gRPC for the next call of a method; where that is None, answers calls of unknown methods for ever.
        refuse: returns what refuses a call of a method before its message is read; None: it is to be answered.
        is_running: whether the server is not stopping.
    """

    def __init__(
        self,
        handlers: list[grpc.GenericRpcHandler],
        request: Callable[[bytes | None], Awaitable[RpcState]],
        refuse: Callable[[str, RpcState], Coroutine[Any, Any, None] | None],
        is_running: Callable[[], bool],
    ) -> None:
        self._request = request
        self._refuse = refuse
        self._is_running = is_running
        self._loop = asyncio.get_running_loop()
        self._resolver = cygrpc._MethodResolver(handlers, {})
        self._tasks = set[asyncio.Task[None]]()
        self.end: asyncio.Future[Never] = self._loop.create_future()
        """Fails when no more calls are taken over: with the error that ends gRPC's loop, or with what went wrong."""

    def begin(self, method: bytes | None) -> None:
        """Begins to take over calls of a method; of all unknown ones if that is None."""
        for _ in range(_CALLS if method else 1):
            self._keep(self._accept(method))

    async def _accept(self, method: bytes | None) -> None:
        name = (method or b"").decode()
        try:
            while True:
                try:
                    call = await self._request(method)
                except cygrpc._RequestCallError:  # of one call, or of all because the server stops
                    if not self._is_running():
                        raise
                else:
                    self._keep(self._refuse(name, call) or self._answer(name, call))
                    del call  # it would be kept until the next one comes
        except Exception as exc:
            if not self.end.done():
                self.end.set_exception(exc)

    def _answer(self, name: str, call: RpcState) -> Coroutine[Any, Any, None]:
        rpc = cygrpc._handle_rpc(name, self._resolver, (), call, self._loop, False)
        answering: Coroutine[Any, Any, None] = cygrpc._schedule_rpc_coro(rpc, call, self._loop, name)
        return answering

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs a task, which the event loop alone would not keep."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class AcceptingServer(cygrpc.AioServer):  # type: ignore[misc]
    """gRPC's server, whose calls `Accepting` takes over."""

    def __init__(self, *arguments: object) -> None:
        self._handlers = list[grpc.GenericRpcHandler]()
        self._accepting: Accepting | None = None
        super().__init__(*arguments)

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Adds handlers of methods, behind those that are there."""
        self._handlers.extend(handlers)

    def refuse_unread(self, method: str, call: RpcState) -> Coroutine[Any, Any, None] | None:
        """Returns what refuses a call before its message is read; None: it is to be answered."""
        return None

    def _make_request_call_future(self, method: bytes | None) -> "asyncio.Future[Never]":
        """Returns what gRPC's loop waits for in place of the next call: the end of `Accepting`."""
        if self._accepting is None:
            self._accepting = Accepting(self._handlers, self._request, self.refuse_unread, self.is_running)
        self._accepting.begin(method)
        return self._accepting.end

    def _request(self, method: bytes | None) -> Awaitable[RpcState]:
        return self._request_call() if method is None else self._request_registered_call(method)  # type: ignore[no-any-return]


def _parameters(name: str) -> list[str]:
    function = getattr(cygrpc, name, None)
    return list(inspect.signature(function).parameters) if function is not None else []
