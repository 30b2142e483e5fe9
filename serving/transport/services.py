"""Services: what a protocol hands to the server, one answer for each of its methods."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from serving.transport.context import Context
from serving.transport.held import CallMemory
from serving.transport.reading import Parse
from vaeserve.rows.wire import TensorMessage

AnswerUnary = Callable[[Any, Context, CallMemory], Awaitable[Any]]
"""Returns the reply to a message. What it takes beside the message is counted in the call's memory."""
CheckUnary = Callable[[Context], None]
"""Refuses a call that cannot be answered whatever its message is, before that is read."""
AnswerStream = Callable[[Context, Parse], Awaitable[None]]
"""Reads a stream's messages, which it parses by the function that it is given, and writes the bytes of its replies."""


class Method(NamedTuple):
    """One method of a service. Its answer raises a VaeError for whatever is wrong."""

    parse: Parse
    serialize: Callable[[Any], bytes] = bytes
    """Makes bytes of what `unary` returns."""
    unary: AnswerUnary | None = None
    stream: AnswerStream | None = None
    """In place of `unary`, where the method streams its replies."""
    check: CheckUnary | None = None
    """Comes before `unary`."""


class Service(NamedTuple):
    """A gRPC service."""

    name: str
    """Its full name, for example "vae.v1.VaeService"."""
    methods: Mapping[str, Method]


def protobuf_service(
    descriptor: ServiceDescriptor,
    unary: Mapping[str, AnswerUnary],
    streams: Mapping[str, AnswerStream],
    checks: Mapping[str, CheckUnary],
) -> Service:
    """Returns a service as its descriptor has it.

    Args:
        descriptor: generated from the .proto file.
        unary: what answers each of its unary methods.
        streams: what answers each method that streams its replies.
        checks: what comes before some of the unary methods.
    """
    methods = {}
    for method in descriptor.methods:
        parse = GetMessageClass(method.input_type).FromString
        if method.server_streaming:
            methods[method.name] = Method(parse, stream=streams[method.name])
        else:
            answer, check = unary[method.name], checks.get(method.name)
            methods[method.name] = Method(parse, _serialize, unary=answer, check=check)
    return Service(descriptor.full_name, methods)


def _serialize(reply: Message | TensorMessage[Message]) -> bytes:
    if isinstance(reply, TensorMessage):
        return reply.serialize().join()
    return reply.SerializeToString()
