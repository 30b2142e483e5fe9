"""Which size of pictures a call is of, where a model takes many; and how the server fitted images to it."""

from collections.abc import Sequence
from typing import Protocol

from vaeserve.client.caller_rows import Frame
from vaeserve.client.description import Model
from vaeserve.client.scalars import integer
from vaeserve.errors import CallError, InvalidInput
from vaeserve.package.row_spec import Array
from vaeserve.package.sizes import PictureSize
from vaeserve.printable import printable
from vaeserve.rows.image_checks import check_image, takes_images
from vaeserve.rows.size_fit import PicturePlace, SizeFit
from vaeserve.v1 import vae_pb2 as pb

SIZE_FITS = {"exact": pb.PICTURE_FIT_UNSPECIFIED, "crop": pb.PICTURE_FIT_CROP, "pad": pb.PICTURE_FIT_PAD}
LONGEST_SIDE = 2**31


class WithPlaces(Protocol):
    """A reply that may say what was done to each image."""

    @property
    def places(self) -> Sequence[pb.PicturePlace]:
        """Of each image; empty if nothing was done to any."""
        ...


def parse_size(size: tuple[int, int] | None) -> PictureSize | None:
    """Returns the size that a caller asks for.

    Raises:
        InvalidInput: it is not a height and a width.
    """
    if size is None:
        return None
    if not isinstance(size, Sequence) or len(size) != 2:
        raise InvalidInput("size", f"is {size!r}, must be (height, width)")
    return PictureSize(*(integer("size", side, LONGEST_SIDE, minimum=1) for side in size))


def size_of_sample(size: PictureSize | None, model: Model) -> PictureSize | None:
    """Returns the size of the pictures that a model samples; None: all of its rows have the same shape.

    Raises:
        InvalidInput: the model does not take the size that the caller asks for.
    """
    return model.data.size_to_sample(size, "size", printable(model.name))


def size_of_answer(reply: pb.SampleResponse, model: Model) -> PictureSize | None:
    """Returns the size of the pictures that were sampled; None: it is not free, or the reply does not say it.

    A server's default may be another one than when the model was described.
    """
    tensors = ((reply.data, model.data), (reply.expectation, model.data), (reply.latent, model.latent))
    found = (spec.size_of(tensor.shape[1:]) for tensor, spec in tensors)
    return next((size for size in found if size is not None), None)


def size_message(size: PictureSize | None) -> pb.PictureSize | None:
    """Returns the message that holds a size."""
    return None if size is None else pb.PictureSize(height=size.height, width=size.width)


def size_of_latents(rows: Array, model: Model) -> PictureSize | None:
    """Returns the size of the pictures that latents are of; None: it is not free, or they do not fit the model."""
    return model.latent.size_of(rows.shape[1:])


def size_of_data(rows: Array | Frame | list[bytes], field: str, fit: SizeFit, model: Model) -> PictureSize | None:
    """Returns the size of a caller's pictures; None: it is not free, or the rows do not fit the model.

    The first image determines the size that all images of a call come to.

    Args:
        rows: an array, a data frame, or encoded images.
        field: name of the rows in an error.
        fit: how images are brought to a size that the model takes.
        model: the model.

    Raises:
        InvalidInput: the first image does not fit the model, or the fit is not for such rows.
    """
    if fit != "exact":
        _check_fit(fit, rows, model)
    if model.data.sizes is None or isinstance(rows, Frame):
        return None
    if isinstance(rows, list):
        return check_image(rows[0], f"{field}[0]", model.data, fit).size if takes_images(model.data) else None
    return model.data.size_of(rows.shape[1:])


def _check_fit(fit: SizeFit, rows: Array | Frame | list[bytes], model: Model) -> None:
    if model.data.sizes is None:
        raise model.data.needs_sizes("fit", printable(model.name))
    if not isinstance(rows, list):
        raise InvalidInput("fit", "is for images; the rows of an array are taken as they are")


def join_places(replies: Sequence[WithPlaces], rows: int, fit: SizeFit) -> tuple[PicturePlace, ...]:
    """Returns where each image lies in its row; empty if images were not fitted.

    Raises:
        CallError: INTERNAL; the server does not say it of every image.
    """
    if fit == "exact":
        return ()
    places = tuple(
        PicturePlace(PictureSize(place.size.height, place.size.width), place.top, place.left)
        for reply in replies
        for place in reply.places
    )
    if len(places) != rows:
        raise CallError("INTERNAL", f"the server answered {len(places)} places of {rows} images")
    return places
