"""`vae serve`, and how it is asked: for the likelihood's expectation, which is float32 for every model."""

from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from benchmarks.calls import answer, call_path
from benchmarks.h2load import FRAME_BYTES, Request, grpc_request
from benchmarks.harness import Server, serve
from benchmarks.peers.dialects import Dialect, Peer
from benchmarks.peers.graphs import Graph
from benchmarks.peers.joined import Rows
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb


def start(graph: Graph, _: Path) -> AbstractContextManager[Server]:
    """Serves the package of a decoder."""
    return serve(graph.package, "--threads", "1")


def request_of(latent: Rows) -> Request:
    """Returns the call that decodes latents."""
    message = pb.DecodeRequest(latent=to_message(latent), output=pb.DECODE_OUTPUT_EXPECTATION)
    return grpc_request(call_path("Decode"), message.SerializeToString())


def ask(server: Server, request: Request) -> bytes:
    """Returns the reply without its times."""
    return answer(server, "Decode", request.body[FRAME_BYTES:])


def values_of(reply: bytes) -> Rows:
    """Returns the values of a reply, each row's channels first."""
    tensor = pb.DecodeResponse.FromString(reply).expectation
    rows = np.frombuffer(tensor.data, "<f4").reshape(tensor.shape)
    return (np.moveaxis(rows, -1, 1) if rows.ndim == 4 else rows).ravel()


OURS = Peer("vae serve", start, Dialect(request_of, ask, values_of))
