"""Load from one process and one event loop. Knows serialised requests and times; no model, no statistics.

The latency of a call counts from when it was due. When a server stalls, the calls behind wait too, and their wait is
part of their latency, whether or not the generator could send them meanwhile.
"""

import asyncio
import resource
import selectors
from array import array
from itertools import cycle
from time import monotonic
from typing import NamedTuple

import grpc
import grpc.aio

from vaeserve.client.channel import Connection, open_async_channel
from vaeserve.command.bench.plan import ClosedLoop, OpenLoop, RpcName
from vaeserve.v1 import vae_pb2 as pb

_PAUSE_SECONDS = 0.1  # of a caller whose call failed, because failed calls are not the load that was asked for
_LATE_SECONDS = 0.05  # after the end, a call that is later than this is given up
_MINIMUM_TIMEOUT_SECONDS = 1e-3

_Reply = pb.SampleResponse | pb.EncodeResponse | pb.DecodeResponse | pb.ReconstructResponse
_REPLIES: dict[RpcName, type[_Reply]] = {
    "sample": pb.SampleResponse,
    "encode": pb.EncodeResponse,
    "decode": pb.DecodeResponse,
    "reconstruct": pb.ReconstructResponse,
}
COLUMNS = ("intended", "sent", "finished", "code", "queued", "running", "batch_rows")
"""Of a log: seconds on the monotonic clock; the status code; what the server reported, in microseconds and rows."""


class LoadShare(NamedTuple):
    """The part of a point that one process runs."""

    rpc: RpcName
    requests: list[bytes]
    load: ClosedLoop | OpenLoop
    warmup_seconds: float
    duration_seconds: float
    deadline_seconds: float


class ShareOutcome(NamedTuple):
    """What one process did and measured in a point."""

    log: bytes
    """Float64 [calls, COLUMNS]: every call that ended, in that order, those of the warm-up included."""
    ended: float
    """When the process sent its last call, or was stopped, on the monotonic clock."""
    processor_share: float
    """Processor time of this process during the measurement, as a share of one core."""
    unsent: int
    """Calls of the measurement that were never sent because their deadline had passed or the measurement was over."""
    was_bounded: bool
    """Whether calls had to wait for others to be answered."""


def runner() -> asyncio.Runner:
    """Returns a runner whose event loop wakes on time. A loop that uses epoll wakes up to 1 ms late."""
    return asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector()))


async def measure(connection: Connection, share: LoadShare, start: float, stop: int) -> ShareOutcome:
    """Sends the calls of a share, from `start` until its time is over and the last call has ended.

    Args:
        connection: how the server is reached.
        share: what to send.
        start: on the monotonic clock.
        stop: file descriptor. When it becomes readable, the load ends at once; calls in flight are cancelled and not
            counted.
    """
    # Without retries every failure is counted.
    options = tuple((name, 0 if name == "grpc.enable_retries" else value) for name, value in connection.options)
    async with open_async_channel(connection._replace(options=options)) as channel:
        return await _LoadGenerator(channel, connection.metadata, share, start).run(stop)


class _LoadGenerator:
    def __init__(
        self, channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...], share: LoadShare, start: float
    ) -> None:
        self._rpc: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            f"/vae.v1.VaeService/{share.rpc.capitalize()}"
        )
        self._reply = _REPLIES[share.rpc]
        self._metadata = metadata
        self._requests = cycle(share.requests)
        self._deadline_seconds = share.deadline_seconds
        self._load = share.load
        self._start = start
        self._begin = start + share.warmup_seconds
        self._end = self._begin + share.duration_seconds
        self._log = array("d")
        self._processor: list[tuple[float, float]] = []
        self._unsent = 0
        self._was_bounded = False

    async def run(self, stop: int) -> ShareOutcome:
        loop = asyncio.get_running_loop()
        load = loop.create_task(
            self._closed(self._load) if isinstance(self._load, ClosedLoop) else self._open(self._load)
        )

        def halt() -> None:
            loop.remove_reader(stop)
            load.cancel()

        loop.add_reader(stop, halt)
        marks = [loop.call_at(at, self._mark) for at in (self._begin, self._end)]
        try:
            await asyncio.wait([load])
        finally:
            loop.remove_reader(stop)
            for mark in marks:
                mark.cancel()
        ended = min(self._end, monotonic()) if load.cancelled() else self._end
        if not load.cancelled():
            load.result()
        return ShareOutcome(self._log.tobytes(), ended, self._processor_share(), self._unsent, self._was_bounded)

    async def _closed(self, load: ClosedLoop) -> None:
        async with asyncio.TaskGroup() as callers:
            for _ in range(load.callers):
                callers.create_task(self._call_again_and_again())

    async def _call_again_and_again(self) -> None:
        await asyncio.sleep(self._start - monotonic())
        while (now := monotonic()) < self._end:
            if not await self._call(now):
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _open(self, load: OpenLoop) -> None:
        slots = asyncio.Semaphore(load.outstanding)
        times = load.times(self._start, self._end)
        async with asyncio.TaskGroup() as calls:
            for intended in times:
                await asyncio.sleep(max(0.0, intended - monotonic()))
                if slots.locked():
                    self._was_bounded = True
                await slots.acquire()
                now = monotonic()
                if now > max(self._end, intended + _LATE_SECONDS):
                    self._unsent += sum(time >= self._begin for time in (intended, *times))
                    break
                if now >= intended + self._deadline_seconds:
                    self._unsent += intended >= self._begin
                    slots.release()
                    continue
                calls.create_task(self._call(intended)).add_done_callback(lambda _: slots.release())

    async def _call(self, intended: float) -> bool:
        """Sends one call and logs it. Returns whether an answer came."""
        sent = monotonic()
        timeout = max(_MINIMUM_TIMEOUT_SECONDS, intended + self._deadline_seconds - sent)
        try:
            reply = await self._rpc(next(self._requests), timeout=timeout, metadata=self._metadata)
        except grpc.aio.AioRpcError as exc:
            self._log.extend((intended, sent, monotonic(), exc.code().value[0], 0, 0, 0))
            return False
        finished = monotonic()
        timing = self._reply.FromString(reply).timing
        reported = (timing.queued_microseconds, timing.running_microseconds, timing.batch_rows)
        self._log.extend((intended, sent, finished, 0, *reported))
        return True

    def _mark(self) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        self._processor.append((monotonic(), used.ru_utime + used.ru_stime))

    def _processor_share(self) -> float:
        if not self._processor:
            return 0.0
        if len(self._processor) == 1:
            self._mark()
        (begin, before), (end, after) = self._processor
        return (after - before) / (end - begin)
