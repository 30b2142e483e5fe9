"""Rows of data in a request: as a tensor, or as encoded images."""

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from serving.models.rules import check_rows, check_takes_images, noise_of
from vaeserve.errors import InvalidInput
from vaeserve.package.manifest import Manifest
from vaeserve.package.row_spec import Array
from vaeserve.rows.noise import RowRange
from vaeserve.rows.tensors import parse_rows
from vaeserve.v1 import vae_pb2 as pb

InputRows = TypeVar("InputRows")


class Undecoded(NamedTuple, Generic[InputRows]):
    """Rows that arrived as images, which are not decoded yet."""

    images: Sequence[bytes]
    """At least one, and at most as many as one call takes."""
    field: str
    """What to call the images in an error."""
    make_rows: Callable[[Array], InputRows]
    """Makes the rows of the decoded images."""

    def __len__(self) -> int:
        return len(self.images)


def parse_input(
    request: pb.EncodeRequest | pb.ReconstructRequest,
    manifest: Manifest,
    call_rows: int,
    make_rows: Callable[[Array], InputRows],
) -> InputRows | Undecoded[InputRows]:
    """Returns the rows of a request's input.

    Raises:
        InvalidInput: a field is wrong.
        PreconditionFailed: the input is images, and the model has none.
    """
    match request.WhichOneof("input"):
        case "data":
            check_tensor_rows("data.shape", request.data, call_rows)
            return make_rows(parse_rows(request.data, "data", manifest.data))
        case "images":
            check_takes_images("images", manifest)
            images = request.images.images
            check_rows("images.images", len(images), call_rows)
            if not images:
                raise InvalidInput("images.images", "has no rows, must have at least 1")
            return Undecoded(images, "images.images", make_rows)
        case _:
            raise InvalidInput("data", "is missing")


def check_tensor_rows(field: str, tensor: pb.Tensor, call_rows: int) -> None:
    """Refuses a tensor of too many rows before it is looked at; whoever parses it checks its shape."""
    if len(tensor.shape) > 0:
        check_rows(field, tensor.shape[0], call_rows)


def requested_noise(request: pb.EncodeRequest | pb.SampleRequest | pb.ReconstructRequest, rows: int) -> RowRange:
    """Returns which rows' noise a request draws, from the seed that it names or a chosen one.

    Raises:
        InvalidInput: the first row lies outside the range of row numbers.
    """
    return noise_of("first_row", request.first_row, rows, request.seed if request.HasField("seed") else None)
