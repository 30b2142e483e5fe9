"""Encode: rows of data -> their posterior."""

from collections.abc import Sequence

from serving.batching.batcher import Batcher
from serving.batching.call import Answer
from serving.batching.executor import RunBatch
from serving.engine.engine import Engine
from serving.engine.rows import DataRows, EncodeResult
from serving.models.loaded import CallLimits
from serving.models.rules import check_posterior, levels_of
from serving.models.served import Served
from serving.vae_v1.inputs import Undecoded, parse_input, requested_noise
from serving.vae_v1.outputs import check_dtype, timing_of, to_tensor
from serving.vae_v1.rpc import RowsRpc
from vaeserve.errors import InvalidInput
from vaeserve.package.manifest import Manifest
from vaeserve.package.row_spec import Array
from vaeserve.package.sizes import PictureSize
from vaeserve.rows.codes import CodesSpec
from vaeserve.rows.wire import TensorMessage
from vaeserve.v1 import vae_pb2 as pb


class Encode(RowsRpc[pb.EncodeRequest, DataRows, EncodeResult, pb.EncodeResponse]):
    """Encodes rows of data into their posterior."""

    name = "Encode"
    graphs = ("encoder",)

    def parse(
        self, request: pb.EncodeRequest, manifest: Manifest, limits: CallLimits
    ) -> DataRows | Undecoded[DataRows]:
        """Returns the rows to encode."""
        if request.output not in pb.EncodeOutput.values():
            raise InvalidInput("output", f"{request.output} is not an EncodeOutput")
        draws = request.output == pb.ENCODE_OUTPUT_SAMPLE
        moments = request.output == pb.ENCODE_OUTPUT_MOMENTS
        codes = request.output == pb.ENCODE_OUTPUT_CODES
        if draws or moments:
            check_posterior(manifest)
        if codes:
            levels_of(manifest)
        check_dtype(request.dtype)

        def make_rows(data: Array, size: PictureSize | None) -> DataRows:
            noise = requested_noise(request, len(data)) if draws else None
            return DataRows(data, log_variance=moments, noise=noise, size=size, codes=codes)

        return parse_input(request, manifest, limits, self.graphs, make_rows)

    def queue(self, served: Served) -> Batcher[DataRows, EncodeResult]:
        """Returns the batcher of the encoder."""
        return served.encoder

    def runner(self, engine: Engine) -> RunBatch[DataRows, EncodeResult]:
        """Returns the engine's `encode`."""
        return engine.encode

    def render(
        self,
        request: pb.EncodeRequest,
        rows: DataRows,
        answer: Answer[EncodeResult],
        manifest: Manifest,
        files: Sequence[bytes] | None = None,
    ) -> TensorMessage[pb.EncodeResponse]:
        """Returns the latents, and the log-variance where the request asked for it; or the codes."""
        response = pb.EncodeResponse(
            fingerprint=manifest.fingerprint, timing=timing_of(answer), seed=rows.noise and rows.noise.seed
        )
        codes = [part.codes for part in answer.parts if part.codes is not None]
        if codes:
            return TensorMessage(response, {"codes": codes})
        tensors = {"latent": to_tensor([part.latent for part in answer.parts], "latent", request.dtype)}
        moments = [part.log_variance for part in answer.parts if part.log_variance is not None]
        if moments:
            tensors["log_variance"] = to_tensor(moments, "log_variance", request.dtype)
        return TensorMessage(response, tensors)

    def reply_bytes(self, rows: DataRows, manifest: Manifest) -> int:
        """Returns the length of one or two tensors of latents, or of codes."""
        if rows.codes:
            return CodesSpec(levels_of(manifest)).bytes_of(len(rows))
        return manifest.latent.at(rows.size).bytes_of(len(rows)) * (2 if rows.log_variance else 1)
