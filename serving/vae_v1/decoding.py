"""DecodingRpc: what Decode, Sample and Reconstruct share, because their responses hold rows of data."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from serving.engine.rows import DecodeResult, LatentRows, PriorRows, ReconstructResult, ReconstructRows
from serving.models.loaded import CallLimits
from serving.vae_v1.outputs import data_bytes
from serving.vae_v1.rpc import ResponseT, RowsRpc
from vaeserve.errors import InvalidInput
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

    def check_reply(self, rows: DecodedRowsT, field: str, manifest: Manifest, limits: CallLimits) -> None:
        """Refuses rows of which one alone is too large for a reply, as pictures of a free size may be.

        Raises:
            InvalidInput: named by `field`; the reply to one row would be longer than a message may be.
        """
        row_bytes = self.reply_bytes(rows, manifest) // len(rows)
        if row_bytes > limits.request_bytes:
            most = f"a message takes at most {limits.request_bytes:,}"
            raise InvalidInput(field, f"is of pictures of {rows.size}: one takes {row_bytes:,} bytes, {most}")

    def reply_bytes(self, rows: DecodedRowsT, manifest: Manifest) -> int:
        """Returns the length of the rows of data; scores hardly count."""
        return data_bytes(rows, manifest)

    def writes_images(self, request: DecodingT) -> bool:
        """Whether the rows become PNG files."""
        return request.output == pb.DECODE_OUTPUT_PNG

    def outputs(self, parts: Sequence[DecodedT]) -> list[Array]:
        """Returns the rows of data."""
        return [part.output for part in parts]
