"""Decode: latents, or codes -> rows of data."""

from collections.abc import Sequence

from serving.batching.batcher import Batcher
from serving.batching.call import Answer
from serving.batching.executor import RunBatch
from serving.engine.engine import Engine
from serving.engine.rows import DecodeResult, LatentRows, OutputKind, PriorRows
from serving.models.loaded import CallLimits
from serving.models.rules import check_fingerprint, levels_of
from serving.models.served import Served
from serving.vae_v1.decoding import DecodingRpc
from serving.vae_v1.inputs import check_tensor_rows
from serving.vae_v1.outputs import images_of, output_tensors, parse_output, timing_of
from vaeserve.errors import InvalidInput
from vaeserve.package.manifest import Manifest
from vaeserve.rows.codes import CodesSpec, latents_of
from vaeserve.rows.tensors import parse_rows
from vaeserve.rows.wire import TensorMessage
from vaeserve.v1 import vae_pb2 as pb


class Decode(DecodingRpc[pb.DecodeRequest, LatentRows, DecodeResult, pb.DecodeResponse]):
    """Decodes latents into data."""

    name = "Decode"
    graphs = ("decoder",)

    def parse(self, request: pb.DecodeRequest, manifest: Manifest, limits: CallLimits) -> LatentRows:
        """Returns the latents to decode."""
        check_fingerprint(request.fingerprint, manifest)
        output = parse_output(request, manifest)
        match request.WhichOneof("input"):
            case "latent":
                return self._latents(request, manifest, limits, output)
            case "codes":
                spec = CodesSpec(levels_of(manifest))
                check_tensor_rows("codes.shape", request.codes, spec, limits, self.graphs)
                codes = parse_rows(request.codes, "codes", spec)
                return LatentRows(latents_of(codes, spec.levels), output)
            case _:
                raise InvalidInput("latent", "is missing")

    def _latents(
        self, request: pb.DecodeRequest, manifest: Manifest, limits: CallLimits, output: OutputKind
    ) -> LatentRows:
        size = check_tensor_rows("latent.shape", request.latent, manifest.latent, limits, self.graphs)
        rows = LatentRows(parse_rows(request.latent, "latent", manifest.latent), output, size)
        if size is not None:
            self.check_reply(rows, "latent.shape", manifest, limits)
        return rows

    def queue(self, served: Served) -> Batcher[LatentRows | PriorRows, DecodeResult]:
        """Returns the batcher of the decoder."""
        return served.decoder

    def runner(self, engine: Engine) -> RunBatch[LatentRows | PriorRows, DecodeResult]:
        """Returns the engine's `decode`."""
        return engine.decode

    def render(
        self,
        request: pb.DecodeRequest,
        rows: LatentRows,
        answer: Answer[DecodeResult],
        manifest: Manifest,
        files: Sequence[bytes] | None = None,
    ) -> TensorMessage[pb.DecodeResponse]:
        """Returns the rows of data."""
        response = pb.DecodeResponse(
            fingerprint=manifest.fingerprint, timing=timing_of(answer), images=images_of(files)
        )
        tensors = output_tensors(self.outputs(answer.parts), rows.output, request.dtype, files)
        return TensorMessage(response, tensors)
