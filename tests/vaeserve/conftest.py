"""A model package and a scripted gRPC server, both small and real."""

import io
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np
import pytest
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_status import rpc_status

from vaeserve.client.blocking import Client
from vaeserve.package.contents import fingerprint_of
from vaeserve.package.directory import ModelPackage, sha256_of
from vaeserve.package.manifest import Manifest
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceServicer, add_VaeServiceServicer_to_server

FINGERPRINT = "a" * 64


class Contents(NamedTuple):
    """What a package is written from."""

    manifest: Manifest
    files: dict[str, bytes]


@pytest.fixture
def contents() -> Contents:
    archive = io.BytesIO()
    arrays: dict[str, Any] = {"encoder.data": np.zeros((2, 8, 8, 1), np.uint8)}
    np.savez(archive, **arrays)
    files = {"encoder.onnx": b"encoder", "decoder.onnx": b"decoder", "probes.npz": archive.getvalue()}
    sums = {name: sha256_of(content) for name, content in files.items()}

    def tensor(name: str, dtype: str, *shape: int) -> dict[str, object]:
        return {"name": name, "dtype": dtype, "shape": ["batch", *shape]}

    data, latent = tensor("data", "uint8", 8, 8, 1), tensor("latent", "float32", 2)
    moments = [tensor("mean", "float32", 2), tensor("log_variance", "float32", 2)]
    manifest = Manifest.model_validate(
        {
            "name": "digits",
            "version": 1,
            "created_at": "2026-11-22T10:00:00Z",
            "fingerprint": fingerprint_of(sums["encoder.onnx"], sums["decoder.onnx"]),
            "data": {"kind": "image", "shape": [8, 8, 1], "dtype": "uint8", "minimum": 0, "maximum": 16},
            "latent_shape": [2],
            "posterior": "gaussian",
            "likelihood": {"family": "binomial", "constants": {"trials": 16}},
            "priors": [{"name": "standard", "noise_size": 2}],
            "graphs": {
                "encoder": {
                    "file": "encoder.onnx",
                    "sha256": sums["encoder.onnx"],
                    "opset": 18,
                    "inputs": [data],
                    "outputs": moments,
                },
                "decoder": {
                    "file": "decoder.onnx",
                    "sha256": sums["decoder.onnx"],
                    "opset": 18,
                    "inputs": [latent],
                    "outputs": [data, tensor("expectation", "float32", 8, 8, 1)],
                },
            },
            "probes": {
                "file": "probes.npz",
                "sha256": sums["probes.npz"],
                "tolerances": {"cpu": {"absolute": 1e-5, "relative": 1e-4}},
            },
            "metrics": {"negative_elbo_nats": 131.25},
            "parity": {
                "batch_sizes": [1, 7],
                "checks": [
                    {"output": "encoder.mean", "rows": 64, "largest_difference": 3e-7, "tolerance": "1e-05 + 1e-04 |r|"}
                ],
            },
        }
    )
    return Contents(manifest, files)


@pytest.fixture
def package(contents: Contents, tmp_path: Path) -> ModelPackage:
    return ModelPackage.write(tmp_path / "digits", contents.manifest, contents.files)


class Received(NamedTuple):
    """One request as it arrived."""

    method: str
    request: Message
    metadata: dict[str, str | bytes]


class Script(VaeServiceServicer):
    """Answers as a model of 8 x 8 digits would, after failing as it is told to.

    A row of latents holds the row's number; a row of data is filled with it, modulo 17. `before` holds what to do
    before the next model calls are answered, oldest first.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.before: list[Callable[[grpc.ServicerContext], None]] = []
        self.row_microseconds = 0  # that a row is said to run; a whole call of rows that are encoded 1,000 if 0
        self.model = pb.Model(
            name="digits",
            version=1,
            fingerprint=FINGERPRINT,
            data=pb.DataSpec(kind=pb.DATA_KIND_IMAGE, shape=[8, 8, 1], dtype=pb.DATA_TYPE_UINT8, minimum=0, maximum=16),
            latent_shape=[2],
            posterior=pb.POSTERIOR_GAUSSIAN,
            likelihood=pb.Likelihood(family="binomial", constants={"trials": 16}),
            priors=[pb.Prior(name="standard", noise_size=2)],
            default_prior="standard",
            provider="cpu",
            limits=pb.Limits(call_rows=8, request_bytes=1 << 20, batch_rows=64),
            noise_algorithm="philox4x64-10/as241/1",
            metrics={"negative_elbo_nats": 131.25},
        )
        self._lock = threading.Lock()

    def requests(self, method: str) -> list[Message]:
        return [received.request for received in self.received if received.method == method]

    def GetModel(self, request: pb.GetModelRequest, context: grpc.ServicerContext) -> pb.GetModelResponse:  # noqa: N802
        self._note("GetModel", request, context)
        return pb.GetModelResponse(model=self.model)

    def ListModels(self, request: pb.ListModelsRequest, context: grpc.ServicerContext) -> pb.ListModelsResponse:  # noqa: N802
        self._note("ListModels", request, context)
        return pb.ListModelsResponse(models=[self.model])

    def CallStream(  # noqa: N802
        self, requests: Iterator[pb.CallStreamRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.CallStreamResponse]:
        for message in requests:
            self._note("CallStream", message, context)
            for call in message.calls:
                verb = call.WhichOneof("request")
                assert verb is not None
                answer = getattr(self, verb.capitalize())(getattr(call, verb), context)
                yield pb.CallStreamResponse(replies=[pb.Reply(id=call.id, **{verb: answer})])

    def SampleStream(  # noqa: N802
        self, request: pb.SampleStreamRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.SampleStreamResponse]:
        self._note("SampleStream", request, context)
        end = request.request.first_row + request.request.count
        for first in range(request.request.first_row, end, request.message_rows or 8):
            part = pb.SampleRequest()
            part.CopyFrom(request.request)
            part.first_row, part.count = first, min(request.message_rows or 8, end - first)
            yield pb.SampleStreamResponse(first_row=first, response=self.Sample(part, context))

    def Encode(self, request: pb.EncodeRequest, context: grpc.ServicerContext) -> pb.EncodeResponse:  # noqa: N802
        self._act("Encode", request, context)
        rows = _rows(request)
        latent = to_message(np.full((rows, *self.model.latent_shape), 0.5, np.float32))
        wants_moments = request.output == pb.ENCODE_OUTPUT_MOMENTS
        return pb.EncodeResponse(
            fingerprint=self.model.fingerprint,
            timing=pb.Timing(
                queued_microseconds=10, running_microseconds=self.row_microseconds * rows or 1000, batch_rows=rows
            ),
            latent=latent,
            log_variance=latent if wants_moments else None,
            seed=request.seed if request.HasField("seed") else None,
        )

    def Decode(self, request: pb.DecodeRequest, context: grpc.ServicerContext) -> pb.DecodeResponse:  # noqa: N802
        self._act("Decode", request, context)
        latent = np.frombuffer(request.latent.data, "<f4").reshape(tuple(request.latent.shape))
        reply = pb.DecodeResponse(fingerprint=self.model.fingerprint, timing=self._timing(len(latent)))
        self._draw(latent.reshape(len(latent), -1)[:, 0], request.output, reply)
        return reply

    def Sample(self, request: pb.SampleRequest, context: grpc.ServicerContext) -> pb.SampleResponse:  # noqa: N802
        self._act("Sample", request, context)
        numbers = np.arange(request.first_row, request.first_row + request.count)
        latent = np.repeat(numbers[:, None], 2, 1).astype(np.float32)
        reply = pb.SampleResponse(
            fingerprint=self.model.fingerprint,
            timing=self._timing(request.count),
            seed=request.seed,
            latent=to_message(latent) if request.include_latent else None,
        )
        self._draw(numbers, request.output, reply)
        return reply

    def Reconstruct(self, request: pb.ReconstructRequest, context: grpc.ServicerContext) -> pb.ReconstructResponse:  # noqa: N802
        self._act("Reconstruct", request, context)
        numbers = np.arange(_rows(request)) + request.first_row
        reply = pb.ReconstructResponse(
            fingerprint=self.model.fingerprint,
            timing=self._timing(len(numbers)),
            squared_error=to_message(numbers.astype(np.float32)),
            seed=request.seed if request.HasField("seed") else None,
        )
        self._draw(numbers, request.output, reply)
        return reply

    def _timing(self, rows: int) -> pb.Timing:
        return pb.Timing(running_microseconds=self.row_microseconds * rows, batch_rows=rows)

    def _draw(
        self, numbers: np.ndarray, output: int, reply: pb.DecodeResponse | pb.SampleResponse | pb.ReconstructResponse
    ) -> None:
        shape = tuple(self.model.data.shape)
        rows = np.broadcast_to((numbers % 17).reshape(-1, *[1] * len(shape)), (len(numbers), *shape))
        if output == pb.DECODE_OUTPUT_EXPECTATION:
            reply.expectation.CopyFrom(to_message(rows.astype(np.float32)))
        else:
            reply.data.CopyFrom(to_message(rows.astype(np.uint8)))

    def _act(self, method: str, request: Message, context: grpc.ServicerContext) -> None:
        with self._lock:
            act = self.before.pop(0) if self.before else None
        self._note(method, request, context)
        if act is not None:
            act(context)

    def _note(self, method: str, request: Message, context: grpc.ServicerContext) -> None:
        metadata = dict(context.invocation_metadata())
        with self._lock:
            self.received.append(Received(method, request, metadata))


def _rows(request: pb.EncodeRequest | pb.ReconstructRequest) -> int:
    return request.data.shape[0] if request.HasField("data") else len(request.images.images)


def refuse(code: grpc.StatusCode, message: str, *details: Message) -> Callable[[grpc.ServicerContext], None]:
    """Answers with an error and its google.rpc details."""

    def act(context: grpc.ServicerContext) -> None:
        packed = []
        for detail in details:
            packed.append(any_pb2.Any())
            packed[-1].Pack(detail)
        status = status_pb2.Status(code=code.value[0], message=message, details=packed)
        context.abort_with_status(rpc_status.to_status(status))

    return act


class Hang:
    """What a server does before an answer that is not to come: it waits until it is let go."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self._may_end = threading.Event()

    def __call__(self, context: grpc.ServicerContext) -> None:
        self.has_begun.set()
        self._may_end.wait(60)

    def end(self) -> None:
        """Lets all go on."""
        self._may_end.set()


class Server(NamedTuple):
    """A running server."""

    target: str
    script: Script
    refuse: Callable[..., Callable[[grpc.ServicerContext], None]]


@pytest.fixture
def server() -> Iterator[Server]:
    script = Script()
    running = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", 64 << 20)])
    add_VaeServiceServicer_to_server(script, running)
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    yield Server(f"127.0.0.1:{port}", script, refuse)
    running.stop(None).wait()


@pytest.fixture
def hang(server: Server) -> Iterator[Hang]:
    """Ends before the server does, which waits for those that hang."""
    hang = Hang()
    yield hang
    hang.end()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.target, timeout_seconds=20) as client:
        yield client
