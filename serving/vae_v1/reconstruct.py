"""Reconstruct: rows of data -> the same rows encoded and decoded again, and scores of how well that went."""

from collections.abc import Sequence

import numpy as np

from serving.batching.batcher import Batcher
from serving.batching.call import Answer
from serving.batching.executor import RunBatch
from serving.engine.engine import Engine
from serving.engine.rows import ReconstructResult, ReconstructRows
from serving.models.loaded import CallLimits
from serving.models.rules import check_posterior
from serving.models.served import Served
from serving.vae_v1.decoding import DecodingRpc
from serving.vae_v1.inputs import Undecoded, parse_input, requested_noise
from serving.vae_v1.outputs import images_of, output_tensors, parse_output, timing_of
from vaeserve.errors import InvalidInput
from vaeserve.package.manifest import Manifest
from vaeserve.package.row_spec import Array
from vaeserve.package.sizes import PictureSize
from vaeserve.rows.wire import TensorMessage
from vaeserve.v1 import vae_pb2 as pb


class Reconstruct(DecodingRpc[pb.ReconstructRequest, ReconstructRows, ReconstructResult, pb.ReconstructResponse]):
    """Encodes rows of data, decodes them again, and scores them."""

    name = "Reconstruct"
    graphs = ("encoder", "decoder")

    def parse(
        self, request: pb.ReconstructRequest, manifest: Manifest, limits: CallLimits
    ) -> ReconstructRows | Undecoded[ReconstructRows]:
        """Returns the rows to reconstruct."""
        if request.latent not in pb.ReconstructLatent.values():
            raise InvalidInput("latent", f"{request.latent} is not a ReconstructLatent")
        draws = request.latent == pb.RECONSTRUCT_LATENT_SAMPLE
        if draws:
            check_posterior(manifest)
        output = parse_output(request, manifest)

        def make_rows(data: Array, size: PictureSize | None) -> ReconstructRows:
            noise = requested_noise(request, len(data)) if draws else None
            rows = ReconstructRows(data, noise=noise, output=output, size=size)
            if size is not None:
                self.check_reply(rows, "data.shape", manifest, limits)
            return rows

        return parse_input(request, manifest, limits, self.graphs, make_rows)

    def queue(self, served: Served) -> Batcher[ReconstructRows, ReconstructResult]:
        """Returns the batcher of encoder and decoder together."""
        return served.reconstructor

    def runner(self, engine: Engine) -> RunBatch[ReconstructRows, ReconstructResult]:
        """Returns the engine's `reconstruct`."""
        return engine.reconstruct

    def render(
        self,
        request: pb.ReconstructRequest,
        rows: ReconstructRows,
        answer: Answer[ReconstructResult],
        manifest: Manifest,
        files: Sequence[bytes] | None = None,
    ) -> TensorMessage[pb.ReconstructResponse]:
        """Returns the rows of data and those scores that the model has."""
        parts = answer.parts
        log_likelihood = _score([part.log_likelihood for part in parts])
        kl = _score([part.kl for part in parts])
        elbo = None if log_likelihood is None or kl is None else log_likelihood - kl
        scores = {"log_likelihood": log_likelihood, "kl": kl, "elbo": elbo}
        response = pb.ReconstructResponse(
            fingerprint=manifest.fingerprint,
            timing=timing_of(answer),
            seed=rows.noise and rows.noise.seed,
            images=images_of(files),
        )
        tensors = output_tensors(self.outputs(parts), rows.output, request.dtype, files)
        tensors |= {name: [score] for name, score in scores.items() if score is not None}
        return TensorMessage(response, tensors | {"squared_error": [part.squared_error for part in parts]})


def _score(parts: Sequence[Array | None]) -> Array | None:
    """Returns a score of all rows; None where the model has none."""
    scores = [part for part in parts if part is not None]
    return np.concatenate(scores) if scores else None
