"""Requests that were altered on the wire: they never break the server, nor the calls that run beside them."""

from collections.abc import Iterable
from typing import NamedTuple

import grpc
import numpy as np
import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.servers import RunningServer
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

DATA = to_message(np.random.default_rng(0).integers(0, 17, (5, 4, 4, 1), np.uint8))
LATENT = to_message(np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32))

ENCODE = pb.EncodeRequest(data=DATA, output=pb.ENCODE_OUTPUT_SAMPLE, seed=1, first_row=5)
IMAGES = pb.EncodeRequest(images=pb.EncodedImages(images=[b"\x89PNG\r\n\x1a\n", b"RIFF\x10\0\0\0WEBPVP8 "]))
DECODE = pb.DecodeRequest(latent=LATENT, output=pb.DECODE_OUTPUT_EXPECTATION, dtype=pb.DATA_TYPE_FLOAT16)
SAMPLE = pb.SampleRequest(count=5, seed=1, temperature=0.5, prior="standard", output=pb.DECODE_OUTPUT_PNG)
RECONSTRUCT = pb.ReconstructRequest(data=DATA, latent=pb.RECONSTRUCT_LATENT_SAMPLE, seed=1)
SOUND: dict[str, Message] = {
    "GetModel": pb.GetModelRequest(model="tiny", version=1),
    "ListModels": pb.ListModelsRequest(),
    "Encode": ENCODE,
    "Decode": DECODE,
    "Sample": SAMPLE,
    "Reconstruct": RECONSTRUCT,
    "CallStream": pb.CallStreamRequest(
        calls=[
            pb.Call(id=3, encode=ENCODE, timeout_microseconds=10**6, call_class=pb.CALL_CLASS_INTERACTIVE),
            pb.Call(id=4, encode=IMAGES, request_id="four"),
            pb.Call(id=2**63, decode=DECODE, traceparent="00-1-1-01"),
            pb.Call(id=5, sample=SAMPLE),
            pb.Call(id=6, reconstruct=RECONSTRUCT),
        ],
        cancelled_ids=[3],
        any_order=True,
    ),
    "SampleStream": pb.SampleStreamRequest(request=SAMPLE, message_rows=2),
}
THE_CALLERS_FAULT = {
    code.value[0]
    for code in (
        grpc.StatusCode.OK,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
    )
}
TOGETHER = 20


class Mutation(NamedTuple):
    """Bytes of a sound request that others take the place of."""

    method: str
    position: int
    replacement: bytes
    removed: int

    @property
    def content(self) -> bytes:
        sound = SOUND[self.method].SerializeToString()
        start = self.position % (len(sound) + 1)
        return sound[:start] + self.replacement + sound[start + self.removed :]


MUTATIONS = st.builds(
    Mutation,
    method=st.sampled_from(sorted(SOUND)),
    position=st.integers(0, 10_000),
    replacement=st.binary(max_size=6),
    removed=st.integers(0, 6),
)


@pytest.fixture(scope="module")
def channel(server: RunningServer) -> Iterable[grpc.Channel]:
    with grpc.insecure_channel(server.target) as channel:
        yield channel


def _begin(channel: grpc.Channel, mutation: Mutation) -> Iterable[bytes]:
    """Sends a mutation; what streams is read as far as its first messages."""
    path = f"/vae.v1.VaeService/{mutation.method}"
    if mutation.method == "SampleStream":
        sampling: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(path)
        return sampling(mutation.content, timeout=60)
    # A stream is what a unary call is to the wire, but for what may follow.
    calling: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(path)
    return calling(iter([mutation.content]), timeout=60)


def _codes(mutation: Mutation, answers: Iterable[bytes]) -> set[int]:
    """Returns every status that a mutation got."""
    try:
        return {code for content in _first(answers, 3) for code in _codes_of_calls(mutation.method, content)}
    except grpc.RpcError as error:
        return {error.code().value[0]}


def _first(answers: Iterable[bytes], count: int) -> list[bytes]:
    """Returns the first answers, and leaves those that go on without end."""
    first = [content for content, _ in zip(answers, range(count), strict=False)]
    if len(first) == count:
        answers.cancel()  # type: ignore[attr-defined]  # they are a call
    return first


def _codes_of_calls(method: str, content: bytes) -> list[int]:
    if method == "CallStream":
        return [reply.error.code for reply in pb.CallStreamResponse.FromString(content).replies]
    return []


@settings(  # one that fails is told as it is: making it smaller would take minutes
    max_examples=2000 // TOGETHER,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate],
)
@given(mutations=st.lists(MUTATIONS, min_size=TOGETHER, max_size=TOGETHER))
def test_mutated_requests_break_nothing(channel: grpc.Channel, mutations: list[Mutation]) -> None:
    decode = VaeServiceStub(channel).Decode
    request = pb.DecodeRequest(latent=LATENT, output=pb.DECODE_OUTPUT_EXPECTATION)
    begun, neighbours = [], []
    for mutation in mutations:
        begun.append(_begin(channel, mutation))
        neighbours.append(decode.future(request, timeout=60))
    for mutation, answers in zip(mutations, begun, strict=True):
        codes = _codes(mutation, answers)
        assert codes <= THE_CALLERS_FAULT, mutation
    expected = decode(request).expectation
    assert {neighbour.result().expectation.data for neighbour in neighbours} == {expected.data}
