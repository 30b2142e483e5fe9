"""Reflection: `grpc.reflection.v1`, and `v1alpha` for tools that know only that."""

import grpc
from google.protobuf import descriptor_pool, text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from serving.transport.methods import Methods

_V1 = "grpc.reflection.v1.ServerReflection"
_V1_FILE = "grpc/reflection/v1/reflection.proto"


def add_reflection(services: tuple[str, ...], methods: Methods) -> None:
    """Lets callers list the services, reflection included.

    The two versions differ only in the name of their package, and the library has only the older one.
    """
    _describe_v1()
    reflected = reflection.aio.ReflectionServicer((*services, reflection.SERVICE_NAME, _V1))
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflected, methods)
    handler = grpc.stream_stream_rpc_method_handler(
        reflected.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    methods.add(_V1, {"ServerReflectionInfo": handler})


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
