"""Methods: gRPC is told which ones there are. Calls of others are answered before gRPC decodes their names.

gRPC decodes the name of an unknown method strictly, in the one loop that accepts calls. A name that is not UTF-8 ends
that loop: a single request from anybody, and nobody is served any more.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Never

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # the stubs do not have it

from serving.transport.accepting import server_class
from serving.transport.admission import CallAdmission
from serving.transport.context import Context, Metadata

_log = logging.getLogger(__name__)


@dataclass
class _CallDetails:
    """What admission learns about a call: not its method."""

    invocation_metadata: tuple[tuple[str, str | bytes], ...]
    method: str = ""


class Methods:
    """Adds services to a server so that gRPC knows their methods, and admission comes before them.

    Generated code adds a service's methods twice: as generic handlers, which come after admission, and as registered
    handlers, which would bypass it.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server
        self.add_generic_rpc_handlers = server.add_generic_rpc_handlers

    def add(self, service: str, handlers: "dict[str, grpc.RpcMethodHandler[Any, Any]]") -> None:
        """Adds a service's methods."""
        self.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        self.add_registered_method_handlers(service, list(handlers))

    def add_registered_method_handlers(self, service: str, methods: Sequence[str]) -> None:
        """Tells gRPC the methods' names only; their calls are answered by the generic handlers."""
        self._server.add_registered_method_handlers(service, dict.fromkeys(methods))  # type: ignore[arg-type]


RefuseUnread = Callable[[str, Context, Callable[[Metadata], bool]], Coroutine[Any, Any, None] | None]
"""Returns what ends a call of a method with an error before its message is read; None: it is to be answered.

It is also told how to find out whether a caller may call.
"""


def known_methods_only(
    admission: CallAdmission,
    options: Sequence[tuple[str, Any]],
    break_down: Callable[[], None],
    refuse_unread: RefuseUnread = lambda method, context, may_call: None,
) -> grpc.aio.Server:
    """Returns a server that answers calls of unknown methods with UNIMPLEMENTED, after admission.

    Args:
        admission: what every call passes.
        options: of gRPC.
        break_down: called when the loop that accepts calls has failed: nobody is served any more.
        refuse_unread: asked of every call, before admission, where grpcio has the parts that this takes.
    """

    class KnownMethods(server_class()):  # type: ignore[misc]
        def refuse_unread(self, method: str, call: object) -> Coroutine[Any, Any, None] | None:
            context = cygrpc._ServicerContext(call, None, None, asyncio.get_running_loop())
            ending = refuse_unread(method, context, admission.may_call)
            return None if ending is None else _end(ending)

        async def _request_call(self) -> Never:
            """Answers the calls of unknown methods, and hands none to gRPC's loop."""
            answering = set()
            while True:
                call = await super()._request_call()
                task = asyncio.create_task(_answer(call, admission))
                answering.add(task)
                task.add_done_callback(answering.discard)

        def _serving_task_crash_handler(self, task: "asyncio.Task[None]") -> None:
            """Handles the end of gRPC's loop. gRPC's own shutdown sometimes crashes here."""
            if not task.cancelled() and (error := task.exception()) is not None:
                _log.critical("gRPC takes no more calls", exc_info=error)
                break_down()

    original, cygrpc.AioServer = cygrpc.AioServer, KnownMethods  # grpc.aio creates its own, and takes no other
    try:
        server = grpc.aio.server(options=options)
    finally:
        cygrpc.AioServer = original
    server.add_generic_rpc_handlers((admission,))
    return server


async def _answer(call: object, admission: CallAdmission) -> None:
    """Ends the call of an unknown method."""
    context = cygrpc._ServicerContext(call, None, None, asyncio.get_running_loop())
    try:
        await _refuse(context, admission)
    except Exception:
        _log.exception("refusing the call of an unknown method failed. This is a bug.")
        context.set_code(grpc.StatusCode.INTERNAL)
        context.set_details("the server failed")
    await _end(context.abort(context.code()))


async def _end(abort: Coroutine[Any, Any, None]) -> None:
    try:
        await abort
    except cygrpc.AbortError as exc:  # raised by abort itself
        exc.__traceback__ = None  # the call keeps its error, and with it this frame, until the garbage collector runs
    except grpc.aio.InternalError:  # the caller has left
        pass


async def _refuse(context: Any, admission: CallAdmission) -> None:  # noqa: ANN401, the stubs do not have it
    refusing: Any = admission.service(_CallDetails(context.invocation_metadata()))
    if refusing is None:
        context.set_code(grpc.StatusCode.UNIMPLEMENTED)
        context.set_details("Method not found!")
    else:
        await refusing.stream_stream(None, context)
