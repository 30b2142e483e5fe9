"""DecodingRpc: what Decode, Sample and Reconstruct share, because their responses hold rows of data."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from serving.engine.rows import DecodeResult, LatentRows, PriorRows, ReconstructResult, ReconstructRows
from serving.vae_v1.outputs import data_bytes
from serving.vae_v1.rpc import ResponseT, RowsRpc
from vaeserve.package.manifest import Manifest
from vaeserve.package.row_spec import Array
from vaeserve.v1 import vae_pb2 as pb

DecodingT = TypeVar("DecodingT", bound=pb.DecodeRequest | pb.SampleRequest | pb.ReconstructRequest)
DecodedRowsT = TypeVar("DecodedRowsT", bound=LatentRows | PriorRows | ReconstructRows)
DecodedT = TypeVar("DecodedT", bound=DecodeResult | ReconstructResult)


class DecodingRpc(
    RowsRpc[DecodingT, DecodedRowsT, DecodedT, ResponseT], Generic[DecodingT, DecodedRowsT, DecodedT, ResponseT]
):
    """An RPC whose response holds rows of data, as a tensor or as PNG files."""

    def reply_bytes(self, rows: DecodedRowsT, manifest: Manifest) -> int:
        """Returns the length of the rows of data; scores hardly count."""
        return data_bytes(rows, manifest)

    def writes_images(self, request: DecodingT) -> bool:
        """Whether the rows become PNG files."""
        return request.output == pb.DECODE_OUTPUT_PNG

    def outputs(self, parts: Sequence[DecodedT]) -> list[Array]:
        """Returns the rows of data."""
        return [part.output for part in parts]
