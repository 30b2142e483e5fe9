"""How the rows of a stream's call come to the batcher: without a task of their own, unless the call needs one."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

from google.protobuf.message import Message

from serving.models.served import Served
from serving.transport.held import Held
from serving.vae_v1.flow_window import FlowWindow
from serving.vae_v1.images import Images
from serving.vae_v1.inputs import Undecoded
from serving.vae_v1.rpc import AnyRowsRpc, is_long
from serving.vae_v1.streams import AnyResponse, StreamCall

_ROW_BYTES = 256  # minimum for a row of the smallest size, or a stream of small rows would fill the batcher's queue


class Queued(NamedTuple):
    """A call whose rows wait or run."""

    answer: "asyncio.Future[Any]"
    render: Callable[..., AnyResponse] | None
    """Makes the response of `answer=`; None: the answer is the response."""


class StreamQueueing:
    """Queues the rows of one stream's calls.

    Args:
        images: decodes and encodes images.
        held: what all callers hold.
        window: what the stream has in flight.
    """

    def __init__(self, images: Images, held: Held, window: FlowWindow) -> None:
        self._images, self._held, self._window = images, held, window

    def queue(
        self,
        call: StreamCall,
        rpc: AnyRowsRpc,
        request: Message,
        served: Served,
        *,
        is_bulk: bool,
    ) -> Queued:
        """Queues a call's rows. Images, a long response, or a lack of memory cost the call a task of its own.

        Raises:
            VaeError: the request is wrong, or the batcher does not take its rows.
        """
        manifest = served.manifest
        rows = rpc.parse(request, manifest, served.limits)
        weight = manifest.data.weight(rows.size)
        takes = rpc.takes_bytes(request, rows, manifest)
        size = max(takes, len(rows) * weight * _ROW_BYTES)
        is_full = not self._held.fits(size)
        if isinstance(rows, Undecoded) or rpc.writes_images(request) or is_long(takes) or is_full:
            respond = partial(
                rpc.respond, request, rows, served, self._images, size=takes, bulk=is_bulk, patient=is_bulk
            )
            response = self._respond(call, size, respond)
            return Queued(asyncio.ensure_future(response), None)
        self._enlarge(call, size)
        answer = rpc.queue(served).enqueue(rows, call.seconds_left, bulk=is_bulk, patient=is_bulk)
        return Queued(answer, partial(rpc.render, request, rows, manifest=manifest))

    async def _respond(
        self, call: StreamCall, size: int, respond: Callable[..., Awaitable[AnyResponse]]
    ) -> AnyResponse:
        """Returns a call's response, once there is memory for it. The wait for memory counts towards the deadline."""
        await self._held.wait_for_room(size, lambda: False)
        self._enlarge(call, size)
        return await respond(timeout_seconds=call.seconds_left)

    def _enlarge(self, call: StreamCall, size: int) -> None:
        """Adds the response that will come to the call's size, so that the window holds it too."""
        call.size += size
        self._window.enlarge(size)
