"""Reflection: `grpc.reflection.v1`, and `v1alpha` for tools that know only that."""

from functools import partial

from google.protobuf import descriptor_pool, text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection, reflection_pb2

from serving.transport.context import Context
from serving.transport.front import Handler
from serving.transport.reading import parse_or_fail

_V1 = "grpc.reflection.v1.ServerReflection"
_V1_FILE = "grpc/reflection/v1/reflection.proto"


def reflection_handlers(services: tuple[str, ...]) -> dict[str, Handler]:
    """Returns what lists services, reflection included, by the paths of its methods.

    The two versions differ only in the name of their package, and the library has only the older one.
    """
    _describe_v1()
    servicer = reflection.ReflectionServicer((*services, reflection.SERVICE_NAME, _V1))
    return dict.fromkeys(
        (f"/{name}/ServerReflectionInfo" for name in (reflection.SERVICE_NAME, _V1)), partial(_answer, servicer)
    )


async def _answer(servicer: reflection.ReflectionServicer, context: Context) -> None:
    while (content := await context.read()) is not None:
        request = parse_or_fail(context, content, reflection_pb2.ServerReflectionRequest)
        if request is None:
            return
        for reply in servicer.ServerReflectionInfo(iter([request]), None):
            await context.write(reply.SerializeToString())
    context.finish()


def _describe_v1() -> None:
    """Adds version 1 to the descriptor pool that answers come from, unless a newer library has done so."""
    pool = descriptor_pool.Default()
    try:
        pool.FindFileByName(_V1_FILE)
    except KeyError:
        older = FileDescriptorProto()
        reflection_pb2.DESCRIPTOR.CopyToProto(older)
        newer = text_format.Parse(text_format.MessageToString(older).replace("v1alpha", "v1"), FileDescriptorProto())
        newer.name = _V1_FILE
        pool.AddSerializedFile(newer.SerializeToString())
