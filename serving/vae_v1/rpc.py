"""RowsRpc: how one RPC that takes rows is answered, over a call of its own or over a stream."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

from google.protobuf.message import Message

from serving.batching.batcher import Batcher
from serving.batching.call import Answer
from serving.batching.executor import RunBatch
from serving.engine.engine import Engine
from serving.engine.rows import DataRows, LatentRows, PriorRows
from serving.models.loaded import CallLimits
from serving.models.row_memory import SizedGraph
from serving.models.served import Served
from serving.vae_v1.images import Images
from serving.vae_v1.inputs import Undecoded
from serving.vae_v1.outputs import add_places
from vaeserve.errors import DeadlinePassed
from vaeserve.package.manifest import Manifest
from vaeserve.package.row_spec import Array
from vaeserve.rows.arrays import join
from vaeserve.rows.size_fit import PicturePlace
from vaeserve.rows.wire import TensorMessage

RequestT = TypeVar("RequestT", bound=Message)
RowsT = TypeVar("RowsT", bound=DataRows | LatentRows | PriorRows)
ResultT = TypeVar("ResultT")
ResponseT = TypeVar("ResponseT", bound=Message)

# A reply that is longer, or has more parts, takes milliseconds to make, so a thread makes it.
_LONG_BYTES, _MANY_PARTS = 2**20, 256


def is_long(size: int) -> bool:
    """Whether a response of so many bytes would hold up the event loop while it is made."""
    return size > _LONG_BYTES


class RowsRpc(ABC, Generic[RequestT, RowsT, ResultT, ResponseT]):
    """One RPC that takes rows: request -> rows, the queue that they wait in, and what became of them -> response."""

    name: ClassVar[str]
    graphs: ClassVar[tuple[SizedGraph, ...]]
    """Graphs that its rows go through, in whose memory they must fit."""

    @abstractmethod
    def parse(self, request: RequestT, manifest: Manifest, limits: CallLimits) -> RowsT | Undecoded[RowsT]:
        """Returns the rows of a request. Parsing is the validation: nothing behind it checks again.

        Raises:
            InvalidInput: a field is wrong.
            PreconditionFailed: the model has not what is asked of it.
        """

    @abstractmethod
    def queue(self, served: Served) -> Batcher[Any, ResultT]:
        """Returns the batcher that takes the rows."""

    @abstractmethod
    def runner(self, engine: Engine) -> RunBatch[Any, ResultT]:
        """Returns what runs batches of the rows, for a caller who has no queue."""

    @abstractmethod
    def render(
        self,
        request: RequestT,
        rows: RowsT,
        answer: Answer[ResultT],
        manifest: Manifest,
        files: Sequence[bytes] | None = None,
    ) -> TensorMessage[ResponseT]:
        """Returns the response; `files` are the rows as PNG files, if the request asked for such."""

    @abstractmethod
    def reply_bytes(self, rows: RowsT, manifest: Manifest) -> int:
        """Returns about how long the response to some rows will be."""

    def writes_images(self, request: RequestT) -> bool:
        """Whether the response holds PNG files."""
        return False

    def outputs(self, parts: Sequence[ResultT]) -> list[Array]:
        """Returns the rows of data that PNG files are made of."""
        return []

    def takes_bytes(self, request: RequestT, rows: RowsT | Undecoded[RowsT], manifest: Manifest) -> int:
        """Returns about how much memory a request's rows and its response take beside the request itself."""
        if isinstance(rows, Undecoded) or self.writes_images(request):
            return manifest.data.at(rows.size).bytes_of(len(rows), "float32")
        return self.reply_bytes(rows, manifest)

    async def respond(
        self,
        request: RequestT,
        rows: RowsT | Undecoded[RowsT],
        served: Served,
        images: Images,
        timeout_seconds: float | None,
        *,
        size: int,
        bulk: bool,
        patient: bool = False,
    ) -> TensorMessage[ResponseT]:
        """Returns the response, of about `size` bytes, to a request that was parsed.

        Raises:
            VaeError: any that the images or the batcher raise.
        """
        manifest = served.manifest
        places: list[PicturePlace] | None = None
        if isinstance(rows, Undecoded):
            began = time.monotonic()
            data = await images.decode(rows.images, rows.field, manifest.data, rows.fit, rows.size)
            if rows.size is not None and rows.fit != "exact":
                places = await images.places(rows.images, rows.size)
            decoded = rows.make_rows(data, rows.size)
            if timeout_seconds is not None:
                timeout_seconds -= time.monotonic() - began
                if timeout_seconds <= 0:
                    raise DeadlinePassed("the deadline passed while the images were decoded")
            size = self.reply_bytes(decoded, manifest)  # not that of the pictures
        else:
            decoded = rows
        answer = await self.queue(served).enqueue(decoded, timeout_seconds, bulk=bulk, patient=patient)
        files = None
        if self.writes_images(request):
            files = await images.encode(await asyncio.to_thread(join, self.outputs(answer.parts)), manifest.data)
        if is_long(size) or len(answer.parts) > _MANY_PARTS:
            response = await asyncio.to_thread(self.render, request, decoded, answer, manifest, files)
        else:
            response = self.render(request, decoded, answer, manifest, files)
        return response if places is None else add_places(response, places)


AnyRowsRpc = RowsRpc[Any, Any, Any, Any]
