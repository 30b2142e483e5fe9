"""Replies become bytes, and hold nothing afterwards: gRPC keeps them until the caller has read their bytes."""

import numpy as np

from serving.transport.services import protobuf_service
from vaeserve.rows.wire import TensorMessage, serialized
from vaeserve.v1 import vae_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["VaeService"]


async def _none(*_: object) -> None:
    pass


def test_a_reply_is_empty_once_its_bytes_are_made() -> None:
    unary = {method.name: _none for method in SERVICE.methods if not method.server_streaming}
    streams = {method.name: _none for method in SERVICE.methods if method.server_streaming}
    serialize = protobuf_service(SERVICE, unary, streams, {}).methods["Decode"].serialize
    tensors = TensorMessage(pb.DecodeResponse(fingerprint="a"), {"data": [np.ones((2, 3), "float32")]})
    message, pieces = pb.DecodeResponse(fingerprint="b"), serialized([b"one", b"two"])
    assert pb.DecodeResponse.FromString(serialize(tensors)).data.shape == [2, 3]
    assert (tensors.message, tensors.tensors) == (pb.DecodeResponse(), {})
    assert pb.DecodeResponse.FromString(serialize(message)).fingerprint == "b"
    assert message == pb.DecodeResponse()
    assert serialize(pieces) == b"onetwo"
    assert pieces.pieces == []
