"""What all streams share, and one call of a stream."""

import asyncio
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from serving.in_flight import Calls
from serving.models.registry import Models
from serving.tally import CallTally
from serving.transport.held import Held
from serving.transport.reading import Reading
from serving.transport.request_ids import RequestId
from serving.turns import Turns
from serving.vae_v1.images import Images
from vaeserve.rows.wire import TensorMessage
from vaeserve.v1 import vae_pb2 as pb

if TYPE_CHECKING:
    from serving.tracing.spans import Spans

MESSAGE_BYTES = 2**20
"""Replies that are ready together share a message of about this size."""

SERVICE = "vae.v1.VaeService/"
"""What precedes a method's name in its full name."""

AnyResponse = TensorMessage[Any]
AnyRowsRequest = pb.EncodeRequest | pb.DecodeRequest | pb.SampleRequest | pb.ReconstructRequest


class Streams(NamedTuple):
    """What all streams share."""

    models: Models
    images: Images
    calls: Calls
    tally: CallTally
    window_bytes: int
    """Maximum bytes of one stream's calls and replies in flight."""
    held: Held
    reading: Reading
    turns: Turns
    spans: "Spans | None" = None
    """Makes the spans of calls; None: there are none."""


@dataclass(eq=False, slots=True)
class StreamCall:
    """A call in flight: accepted, and its reply not written yet."""

    id: int
    size: int
    """Bytes that it takes of the window."""
    verb: str | None
    """The oneof arm of its request, which its reply has too; None if it has no request."""
    request_id: RequestId
    arrived: float = field(default_factory=time.monotonic)
    deadline: float = math.inf
    answer: "asyncio.Future[Any] | None" = None
    reply: bytes | None = None
    """The field of a CallStreamResponse that holds it, once it is ready; None again once its message is made."""
    is_settled: bool = False
    """Whether it has had its reply, written or not."""

    @property
    def seconds_left(self) -> float | None:
        """Time until its deadline; None if it has none."""
        return None if self.deadline == math.inf else self.deadline - time.monotonic()
