"""Front: takes calls over from gRPC, refuses or answers them, and stops.

grpc.aio's server takes several tasks and a dozen futures for each call. Here a call takes one task, or none if it is
refused.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

import grpc

from serving.transport.admission import CallAdmission
from serving.transport.completions import Completions
from serving.transport.context import Aborted, CallerLeft, Context
from serving.transport.core import Event, Server
from serving.transport.request_ids import as_request
from serving.transport.status import Refusal

_log = logging.getLogger(__name__)

_REQUESTED = 32  # calls that gRPC may hand over before it is asked for more


Answer = Coroutine[Any, Any, None]
"""Answers a call: reads its messages, then finishes or fails it."""
Handler = Callable[[Context], Answer | Refusal]
"""Returns what answers a call, or what refuses it before anything is read."""


class Front:
    """A gRPC server on an event loop.

    Args:
        admission: what every call passes, whatever its method is.
        handlers: by the path of their method, `/package.Service/Method`.
        options: of gRPC.
        break_down: called when gRPC hands over no more calls, though the front was not stopped.
    """

    def __init__(
        self,
        admission: CallAdmission,
        handlers: Mapping[str, Handler],
        options: Sequence[tuple[str, Any]],
        break_down: Callable[[], None],
    ) -> None:
        self._admission = admission
        self._handlers = {path.encode(): handler for path, handler in handlers.items()}
        self._completions = Completions(break_down)
        self._server = Server(tuple(options), False)
        self._server.register_completion_queue(self._completions.queue)
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._is_stopping = False

    def add_port(self, address: str, credentials: grpc.ServerCredentials | None) -> int:
        """Listens on an address, and returns its port. Without credentials it speaks plaintext.

        Raises:
            OSError: it cannot.
        """
        secrets = () if credentials is None else (credentials._credentials,)  # type: ignore[attr-defined]
        port: int = self._server.add_http2_port(address.encode(), *secrets)
        if not port:
            raise OSError(f"cannot listen on {address}")
        return port

    def start(self) -> None:
        """Begins to answer."""
        self._server.start()
        for _ in range(_REQUESTED):
            self._request()
        self._completions.start()

    async def stop(self, grace_seconds: float) -> None:
        """Takes no new calls, and cancels those that have not ended after a time. Returns when all have ended."""
        self._is_stopping = True
        self._server.shutdown(self._completions.queue, lambda event: self._stopped.set())
        try:
            async with asyncio.timeout(grace_seconds):
                await self._stopped.wait()
        except TimeoutError:
            self._server.cancel_all_calls()
            await self._stopped.wait()
        self._server.destroy()
        await self._completions.close()

    def _request(self) -> None:
        self._server.request_call(self._completions.queue, self._completions.queue, self._accept)

    def _accept(self, event: Event) -> None:
        if not self._is_stopping:
            self._request()
        if event.success:  # it fails when the front stops
            self._begin(Context(event))

    def _begin(self, context: Context) -> None:
        """Refuses a call, or begins to answer it."""
        handle = self._handlers.get(context.method, _refuse_unknown)
        try:
            begun = self._admission.refuse(context) or handle(context)
        except Exception:
            _log.exception("beginning to answer %s failed. This is a bug.", context.path)
            begun = _FAILED
        if isinstance(begun, Refusal):
            context.fail(begun)
            return
        task = as_request(context.request_id, partial(self._loop.create_task, begun))
        task.add_done_callback(partial(_ended, context))
        context.keep(task)


_FAILED = Refusal(grpc.StatusCode.INTERNAL, "the server failed", ())


def _refuse_unknown(context: Context) -> Refusal:
    return Refusal(grpc.StatusCode.UNIMPLEMENTED, "Method not found!", ())


def _ended(context: Context, task: "asyncio.Task[None]") -> None:
    """Fails a call whose answer ended in an unexpected way."""
    context.keep(None)  # or its error would keep the messages, through its traceback, until the garbage collector runs
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, Aborted | CallerLeft):
        _log.error("answering %s failed. This is a bug.", context.path, exc_info=error)
        context.fail(_FAILED)
