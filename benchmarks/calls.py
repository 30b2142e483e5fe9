"""Serialised requests, and single calls with them."""

from pathlib import Path

import grpc
import numpy as np

from benchmarks.harness import Server
from vaeserve.package.directory import ModelPackage
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb

SERVICE = "vae.v1.VaeService"
ANY_SIZE = [("grpc.max_receive_message_length", -1)]

_REPLIES: dict[str, type[pb.DecodeResponse | pb.SampleResponse]] = {
    "Decode": pb.DecodeResponse,
    "Sample": pb.SampleResponse,
}


def decode_request(package: Path, rows: int) -> bytes:
    """Returns a serialised Decode request with a number of rows."""
    shape = ModelPackage.open(package).manifest.latent.shape
    latent = np.random.default_rng(0).normal(size=(rows, *shape)).astype(np.float32)
    return pb.DecodeRequest(latent=to_message(latent)).SerializeToString()


def sample_request(rows: int) -> bytes:
    """Returns a serialised Sample request with a number of rows."""
    return pb.SampleRequest(count=rows, seed=7).SerializeToString()


def answer(server: Server, method: str, request: bytes) -> bytes:
    """Returns a call's reply without its times, which differ from call to call."""
    with grpc.insecure_channel(server.target, options=ANY_SIZE) as channel:
        content = call_of(channel, method)(request, timeout=60)
    reply = _REPLIES[method].FromString(content)
    reply.ClearField("timing")
    return reply.SerializeToString()


def call_of(channel: grpc.Channel, method: str) -> "grpc.UnaryUnaryMultiCallable[bytes, bytes]":
    """Returns a method that takes and returns serialised messages."""
    return channel.unary_unary(call_path(method), request_serializer=bytes, response_deserializer=bytes)


def call_path(method: str) -> str:
    """Returns a method's path."""
    return f"/{SERVICE}/{method}"
