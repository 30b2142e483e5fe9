"""What the streams have of their own, and what they share."""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from serving.batching.line import Answer
from serving.models.registry import Models
from serving.tally import CallTally
from serving.transport.held import Held
from serving.transport.in_flight import Calls
from serving.transport.reading import Reading
from serving.turns import Turns
from serving.vae_v1.images import Images
from serving.vae_v1.rpcs import DECODE, ENCODE, A, AnyRows, Rpc
from vaeserve.v1 import vae_pb2 as pb

MESSAGE_BYTES = 2**20
"""Replies that are ready together share a message of about so much."""

Reply = TypeVar("Reply", bound=pb.EncodeReply | pb.DecodeReply)


class StreamKind(NamedTuple, Generic[AnyRows, A, Reply]):
    """What one bidirectional RPC has of its own."""

    rpc: Rpc[Any, AnyRows, A, Any]
    reply: Callable[..., Reply]
    message: Callable[..., pb.EncodeStreamResponse | pb.DecodeStreamResponse]


ENCODE_STREAM = StreamKind(ENCODE, pb.EncodeReply, pb.EncodeStreamResponse)
DECODE_STREAM = StreamKind(DECODE, pb.DecodeReply, pb.DecodeStreamResponse)


class Streams(NamedTuple):
    """What all streams share."""

    models: Models
    images: Images
    calls: Calls
    tally: CallTally
    window_bytes: int
    """Most bytes of one stream's calls and replies in flight."""
    held: Held
    reading: Reading
    turns: Turns


@dataclass(eq=False, slots=True)
class Pending(Generic[A, Reply]):
    """A call in flight: accepted, and its reply not written yet."""

    id: int
    size: int
    """Bytes that it takes of the window."""
    arrived: float = field(default_factory=time.monotonic)
    deadline: float = math.inf
    answer: asyncio.Future[Answer[A]] | asyncio.Task[Any] | None = None
    reply: Reply | None = None
    """Ready to be written; gone again once its message is made."""
    is_settled: bool = False
    """Whether it has had its reply, written or not."""
