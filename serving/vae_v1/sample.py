"""Sample: a prior -> new rows of data."""

from collections.abc import Sequence

from serving.batching.batcher import Batcher
from serving.batching.call import Answer
from serving.batching.executor import RunBatch
from serving.engine.engine import Engine
from serving.engine.rows import DecodeResult, LatentRows, PriorRows
from serving.models.loaded import CallLimits
from serving.models.rules import check_rows, check_temperature, check_weight, choose_prior
from serving.models.served import Served
from serving.vae_v1.decoding import DecodingRpc
from serving.vae_v1.inputs import check_size, requested_noise
from serving.vae_v1.outputs import images_of, output_tensors, parse_output, timing_of, to_tensor
from vaeserve.errors import InvalidInput
from vaeserve.package.manifest import Manifest
from vaeserve.package.sizes import PictureSize
from vaeserve.rows.wire import TensorMessage
from vaeserve.v1 import vae_pb2 as pb


class Sample(DecodingRpc[pb.SampleRequest, PriorRows, DecodeResult, pb.SampleResponse]):
    """Draws latents from a prior and decodes them."""

    name = "Sample"
    graphs = ("decoder",)

    def parse(self, request: pb.SampleRequest, manifest: Manifest, limits: CallLimits) -> PriorRows:
        """Returns the rows to draw."""
        prior = choose_prior("prior", request.prior, manifest)
        if request.count < 1:
            raise InvalidInput("count", f"is {request.count}, must be at least 1")
        size = self._parse_count_and_size(request, manifest, limits)
        temperature = request.temperature if request.HasField("temperature") else 1.0
        check_temperature("temperature", temperature)
        noise = requested_noise(request, request.count)
        output = parse_output(request, manifest)
        rows = PriorRows(noise, temperature, output, request.include_latent, prior, size)
        if size is not None:
            self.check_reply(rows, "size", manifest, limits)
        return rows

    def _parse_count_and_size(
        self, request: pb.SampleRequest, manifest: Manifest, limits: CallLimits
    ) -> PictureSize | None:
        check_rows("count", request.count, limits.call_rows)
        named = PictureSize(request.size.height, request.size.width) if request.HasField("size") else None
        size = manifest.data.size_to_sample(named, "size", manifest.name)
        if size is not None and manifest.data.sizes is not None:
            check_weight("count", request.count, size, manifest.data.sizes, limits.call_rows)
            check_size("size", size, manifest.data.sizes, limits, self.graphs)
        return size

    def queue(self, served: Served) -> Batcher[LatentRows | PriorRows, DecodeResult]:
        """Returns the batcher of the decoder."""
        return served.decoder

    def runner(self, engine: Engine) -> RunBatch[LatentRows | PriorRows, DecodeResult]:
        """Returns the engine's `decode`."""
        return engine.decode

    def render(
        self,
        request: pb.SampleRequest,
        rows: PriorRows,
        answer: Answer[DecodeResult],
        manifest: Manifest,
        files: Sequence[bytes] | None = None,
    ) -> TensorMessage[pb.SampleResponse]:
        """Returns the rows of data, and their latents where the request asked for them."""
        response = pb.SampleResponse(
            fingerprint=manifest.fingerprint,
            timing=timing_of(answer),
            seed=rows.noise.seed,
            images=images_of(files),
        )
        tensors = output_tensors(self.outputs(answer.parts), rows.output, request.dtype, files)
        if rows.include_latent:
            tensors["latent"] = to_tensor([part.latent for part in answer.parts], "latent", request.dtype)
        return TensorMessage(response, tensors)

    def reply_bytes(self, rows: PriorRows, manifest: Manifest) -> int:
        """Returns the length of the rows of data and their latents."""
        latents = manifest.latent.at(rows.size).bytes_of(len(rows)) if rows.include_latent else 0
        return super().reply_bytes(rows, manifest) + latents
