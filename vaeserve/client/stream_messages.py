"""Messages of a CallStream: which calls share a message, and which field of the oneof holds a call."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, cast

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from vaeserve.client.stride import rows_of
from vaeserve.client.trace import trace_fields
from vaeserve.package.row_spec import RowSpec
from vaeserve.rows.noise import ROW_LIMIT
from vaeserve.v1 import vae_pb2 as pb

MESSAGE_BYTES = 2**20
"""Calls share messages of about this size; a larger call has its own message."""
CANCELLED_LIMIT = 2**16
"""Maximum number of cancelled ids in a message. A server refuses a message with more."""
_VERBS: Mapping[type[Message], str] = {
    GetMessageClass(field.message_type): field.name
    for field in pb.Call.DESCRIPTOR.oneofs_by_name["request"].fields
    if field.message_type is not None
}
"""By the request of the unary RPC: the field of `Call` that holds it, and of `Reply` that holds the answer."""


def call_of(number: int, request: Message, timeout_microseconds: int = 0) -> pb.Call:
    """Returns the call of a stream that makes a request of a unary RPC, in the trace that is current."""
    fields: dict[str, Any] = {_VERBS[type(request)]: request, **dict(trace_fields())}
    return pb.Call(id=number, timeout_microseconds=timeout_microseconds, **fields)


def request_of(call: pb.Call) -> Message:
    """Returns the request that a call makes."""
    return cast(Message, getattr(call, call.WhichOneof("request") or ""))


def answer_of(reply: pb.Reply) -> Message | None:
    """Returns the response that a reply holds; None for an error."""
    field = reply.WhichOneof("result")
    return None if field is None or field == "error" else cast(Message, getattr(reply, field))


def part_bytes(request: Message, data: RowSpec) -> int:
    """Returns about how many bytes a request and the rows of its reply take. `data` is what one row of data is."""
    if isinstance(request, pb.EncodeRequest):
        return request.ByteSize()
    return request.ByteSize() + data.bytes_of(rows_of(request), "float32")


def rows_of_call(call: pb.Call) -> int:
    """Returns how many rows a call holds."""
    return rows_of(request_of(call))


def take_calls(
    unsent: deque[pb.Call], most_rows: int = ROW_LIMIT, weight_of: Callable[[pb.Call], int] = rows_of_call
) -> list[pb.Call]:
    """Takes the next calls that fit one message and have few enough rows; at least one call."""
    taken: list[pb.Call] = []
    size = rows = 0
    while unsent:
        size += unsent[0].ByteSize()
        rows += weight_of(unsent[0])
        if taken and (size > MESSAGE_BYTES or rows > most_rows):
            break
        taken.append(unsent.popleft())
    return taken
