"""What a request may ask for, and the parts of a response that several RPCs share."""

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from google.protobuf.message import Message

from serving.batching.call import Answer
from serving.engine.rows import LatentRows, OutputKind, PriorRows, ReconstructRows
from serving.models.rules import check_takes_images
from vaeserve.errors import InvalidInput
from vaeserve.package.manifest import Manifest
from vaeserve.package.row_spec import Array
from vaeserve.rows.arrays import join, to_float16
from vaeserve.rows.size_fit import PicturePlace
from vaeserve.rows.wire import TensorMessage
from vaeserve.v1 import vae_pb2 as pb

M = TypeVar("M", bound=Message)

_OUTPUTS: dict[int, OutputKind] = {
    pb.DECODE_OUTPUT_UNSPECIFIED: "data",
    pb.DECODE_OUTPUT_DATA: "data",
    pb.DECODE_OUTPUT_EXPECTATION: "expectation",
    pb.DECODE_OUTPUT_PNG: "data",
}
_FLOATS = (pb.DATA_TYPE_UNSPECIFIED, pb.DATA_TYPE_FLOAT32, pb.DATA_TYPE_FLOAT16)


def check_dtype(dtype: int) -> None:
    """Refuses an element type that rows are not answered in.

    Raises:
        InvalidInput: it is neither FLOAT32 nor FLOAT16.
    """
    if dtype not in _FLOATS:
        name = pb.DataType.Name(dtype) if dtype in pb.DataType.values() else dtype  # type: ignore[arg-type]  # any number
        raise InvalidInput("dtype", f"is {name}, must be DATA_TYPE_FLOAT32 or DATA_TYPE_FLOAT16")


def parse_output(
    request: pb.DecodeRequest | pb.SampleRequest | pb.ReconstructRequest, manifest: Manifest
) -> OutputKind:
    """Returns what the decoder has to answer.

    Raises:
        InvalidInput: a field is wrong.
        PreconditionFailed: images are asked of a model that has none.
    """
    check_dtype(request.dtype)
    if request.output not in _OUTPUTS:
        raise InvalidInput("output", f"{request.output} is not a DecodeOutput")
    if request.output == pb.DECODE_OUTPUT_PNG:
        check_takes_images("output", manifest)
    return _OUTPUTS[request.output]


def images_of(files: Sequence[bytes] | None) -> pb.EncodedImages | None:
    """Returns the rows as the files that they were encoded into, if they were."""
    return None if files is None else pb.EncodedImages(images=files)


def output_tensors(
    parts: Sequence[Array], output: OutputKind, dtype: int, files: Sequence[bytes] | None
) -> dict[str, Sequence[Array]]:
    """Returns the rows by the field that the caller asked for, unless they were encoded into files."""
    return {output: to_tensor(parts, output, dtype)} if files is None else {}


def to_tensor(parts: Sequence[Array], field: str, dtype: int) -> Sequence[Array]:
    """Returns all rows; floating-point rows in the element type that the caller asked for."""
    return [to_float16(join(parts), field)] if dtype == pb.DATA_TYPE_FLOAT16 else parts


def add_places(response: TensorMessage[M], places: Sequence[PicturePlace]) -> TensorMessage[M]:
    """Returns a response, to which is added what was done to each image. Encode and Reconstruct alone take images."""
    reply = cast(pb.EncodeResponse | pb.ReconstructResponse, response.message)
    reply.places.extend(
        pb.PicturePlace(size=pb.PictureSize(height=size.height, width=size.width), top=top, left=left)
        for size, top, left in places
    )
    return response


def data_bytes(rows: LatentRows | PriorRows | ReconstructRows, manifest: Manifest) -> int:
    """Returns the length of the rows of data in a reply, as a tensor."""
    return manifest.data.at(rows.size).bytes_of(len(rows), None if rows.output == "data" else "float32")


def timing_of(answer: Answer[Any]) -> pb.Timing:
    """Returns what a call cost."""
    return pb.Timing(
        queued_microseconds=round(answer.queued_seconds * 1e6),
        running_microseconds=round(answer.running_seconds * 1e6),
        batch_rows=answer.batch_rows,
    )
