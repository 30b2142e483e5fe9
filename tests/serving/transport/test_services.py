"""What a protocol hands to the server: replies become bytes, whether they hold tensors or not."""

import numpy as np

from serving.transport.services import protobuf_service
from vaeserve.rows.wire import TensorMessage
from vaeserve.v1 import vae_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["VaeService"]


async def _none(*_: object) -> None:
    pass


def test_replies_become_bytes() -> None:
    unary = {method.name: _none for method in SERVICE.methods if not method.server_streaming}
    streams = {method.name: _none for method in SERVICE.methods if method.server_streaming}
    serialize = protobuf_service(SERVICE, unary, streams, {}).methods["Decode"].serialize
    tensors = TensorMessage(pb.DecodeResponse(fingerprint="a"), {"data": [np.ones((2, 3), "float32")]})
    assert pb.DecodeResponse.FromString(serialize(tensors)).data.shape == [2, 3]
    assert pb.DecodeResponse.FromString(serialize(pb.DecodeResponse(fingerprint="b"))).fingerprint == "b"
