"""Rows of data in a request: as a tensor, or as encoded images."""

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from serving.models.loaded import CallLimits
from serving.models.row_memory import SizedGraph
from serving.models.rules import check_pixels, check_rows, check_takes_images, check_weight, noise_of
from vaeserve.errors import InvalidInput
from vaeserve.package.manifest import Manifest
from vaeserve.package.row_spec import Array, RowSpec
from vaeserve.package.sizes import PictureSize, PictureSizes
from vaeserve.rows.image_checks import check_image
from vaeserve.rows.noise import RowRange
from vaeserve.rows.size_fit import SizeFit
from vaeserve.rows.tensors import parse_rows
from vaeserve.v1 import vae_pb2 as pb

InputRows = TypeVar("InputRows")
MakeRows = Callable[[Array, PictureSize | None], InputRows]
"""Makes rows of an array and of the size of its pictures, where that is free."""

_FITS: dict[int, SizeFit] = {
    pb.PICTURE_FIT_UNSPECIFIED: "exact",
    pb.PICTURE_FIT_EXACT: "exact",
    pb.PICTURE_FIT_CROP: "crop",
    pb.PICTURE_FIT_PAD: "pad",
}


class Undecoded(NamedTuple, Generic[InputRows]):
    """Rows that arrived as images, which are not decoded yet."""

    images: Sequence[bytes]
    """At least one, and at most as many as one call takes."""
    field: str
    """What to call the images in an error."""
    make_rows: MakeRows[InputRows]
    """Makes the rows of the decoded images."""
    fit: SizeFit = "exact"
    """How each is brought to a size that the model takes, where sizes are free."""
    size: PictureSize | None = None
    """Of the rows, which the first image determines, where sizes are free."""

    def __len__(self) -> int:
        return len(self.images)


def parse_input(
    request: pb.EncodeRequest | pb.ReconstructRequest,
    manifest: Manifest,
    limits: CallLimits,
    graphs: Sequence[SizedGraph],
    make_rows: MakeRows[InputRows],
) -> InputRows | Undecoded[InputRows]:
    """Returns the rows of a request's input, which will go through some graphs.

    Raises:
        InvalidInput: a field is wrong.
        PreconditionFailed: the input is images, and the model has none.
    """
    fit = _parse_fit(request.fit, manifest)
    match request.WhichOneof("input"):
        case "data":
            if fit != "exact":
                raise InvalidInput("fit", "is for images; the rows of a tensor are taken as they are")
            size = check_tensor_rows("data.shape", request.data, manifest.data, limits, graphs)
            return make_rows(parse_rows(request.data, "data", manifest.data), size)
        case "images":
            check_takes_images("images", manifest)
            images = request.images.images
            size = _check_images(images, fit, manifest, limits, graphs)
            return Undecoded(images, "images.images", make_rows, fit, size)
        case _:
            raise InvalidInput("data", "is missing")


def check_tensor_rows(
    field: str, tensor: pb.Tensor, spec: RowSpec, limits: CallLimits, graphs: Sequence[SizedGraph]
) -> PictureSize | None:
    """Refuses a tensor of too many or too large rows before it is looked at; whoever parses it checks its shape.

    Returns:
        The size of its pictures, where that is free and its shape is right.
    """
    if len(tensor.shape) > 0:
        check_rows(field, tensor.shape[0], limits.call_rows)
    if spec.sizes is None:
        return None
    size = spec.size_of(tensor.shape[1 : 2 + len(spec.axes)])  # there may be millions of axes
    if size is not None:
        check_weight(field, tensor.shape[0], size, spec.sizes, limits.call_rows)
        check_size(field, size, spec.sizes, limits, graphs)
    return size


def check_size(
    field: str, size: PictureSize, sizes: PictureSizes, limits: CallLimits, graphs: Sequence[SizedGraph]
) -> None:
    """Refuses pictures that one of some graphs has no memory for. Raises InvalidInput."""
    for graph in graphs:
        limit_pixels = limits.encode_pixels if graph == "encoder" else limits.decode_pixels
        memory = limits.memory and limits.memory.of(graph)
        check_pixels(field, graph, size, sizes, limit_pixels=limit_pixels, bytes_of=memory and memory.bytes_of)


def _parse_fit(fit: int, manifest: Manifest) -> SizeFit:
    if fit not in _FITS:
        raise InvalidInput("fit", f"{fit} is not a PictureFit")
    if manifest.data.sizes is None and _FITS[fit] != "exact":
        raise manifest.data.needs_sizes("fit", manifest.name)
    return _FITS[fit]


def _check_images(
    images: Sequence[bytes], fit: SizeFit, manifest: Manifest, limits: CallLimits, graphs: Sequence[SizedGraph]
) -> PictureSize | None:
    """Refuses images that are too many or too large, and returns the size that all come to, where that is free.

    The first image determines it: whoever decodes the others refuses those that come to another.
    """
    check_rows("images.images", len(images), limits.call_rows)
    if not images:
        raise InvalidInput("images.images", "has no rows, must have at least 1")
    sizes = manifest.data.sizes
    if sizes is None:
        return None
    size = check_image(images[0], "images.images[0]", manifest.data, fit).size
    check_weight("images.images", len(images), size, sizes, limits.call_rows)
    check_size("images.images[0]", size, sizes, limits, graphs)
    return size


def requested_noise(request: pb.EncodeRequest | pb.SampleRequest | pb.ReconstructRequest, rows: int) -> RowRange:
    """Returns which rows' noise a request draws, from the seed that it names or a chosen one.

    Raises:
        InvalidInput: the first row lies outside the range of row numbers.
    """
    return noise_of("first_row", request.first_row, rows, request.seed if request.HasField("seed") else None)
