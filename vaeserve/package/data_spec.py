"""DataSpec: one row of data as a manifest describes it, and how picture files became such rows."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, FailFast, Field, PositiveInt, StringConstraints, model_validator

from vaeserve.errors import InvalidInput
from vaeserve.package.row_spec import RowSpec
from vaeserve.package.sizes import PictureSize, PictureSizes, free_axes
from vaeserve.records import Record

FreeAxis = Annotated[str, StringConstraints(pattern=r"^(height|width)(/[1-9][0-9]{0,3})?$")]
Shape = Annotated[tuple[PositiveInt, ...], Field(min_length=1, max_length=64)]  # as many axes as NumPy knows
RowAxes = Annotated[tuple[PositiveInt | FreeAxis, ...], Field(min_length=1, max_length=64)]
"""The shape of a row; an axis that is free has a name instead of a length."""
Columns = Annotated[tuple[str, ...], FailFast()]
Fit = Literal["crop", "pad", "stretch", "exact"]


class ImageFit(Record):
    """How picture files of any size become rows, in the terms of `vae train`; each is turned upright as EXIF says."""

    fit: Fit
    """How each is brought to the height and width of a row; exact: other sizes are refused."""
    channels: Literal[1, 3] | None = None
    """Number of channels that colours are converted to; None: no conversion, other pictures are refused."""
    white: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Value of grey pictures of 9 to 16 bits that becomes 255; None: such pictures are refused."""


class ArrayFit(Record):
    """How files of arrays became images of uint8."""

    white: Annotated[float, Field(gt=0)] | None = None
    """Value that becomes `maximum`, in arrays of other types than uint8; values between 0 and it are rounded.

    None: such arrays are taken as they are, or refused.
    """
    channels_first: bool = False
    """Whether arrays are [rows, channels, height, width]."""


class DataSpec(Record, RowSpec):
    """One row of data: what the encoder takes and the decoder gives."""

    model_config = ConfigDict(serialize_by_alias=True)

    kind: Literal["image", "table"]
    axes: RowAxes = Field(alias="shape")
    """[height, width, channels] for images, [features] for tables; ["height", "width", channels] of many sizes."""
    sizes: PictureSizes | None = None
    """The sizes that images may have; None: all have the same one."""
    dtype: Literal["uint8", "float32"]
    minimum: float
    maximum: float
    missing_allowed: bool = False
    """Whether NaN stands for a missing value."""
    columns: Columns = ()
    """Names of a table's features, in order; empty if they have none."""
    image_fit: ImageFit | None = None
    """How picture files became rows; None: rows were not picture files, or that is not known."""
    array_fit: ArrayFit | None = None
    """How files of arrays became rows; None: such files hold rows as they are."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.axes) != (3 if self.kind == "image" else 1):
            raise ValueError(f"{self.kind} rows cannot have shape {list(self.axes)}")
        if self.sizes is None and free_axes(self.axes):
            raise ValueError(f"shape {list(self.axes)} has free axes: sizes must say which lengths they have")
        if self.sizes is not None and (self.kind != "image" or self.axes[:2] != ("height", "width")):
            raise ValueError('rows of free sizes are images of shape ["height", "width", channels]')
        if self.minimum >= self.maximum:
            raise ValueError("minimum must be below maximum")
        if self.dtype == "uint8" and (self.minimum < 0 or self.maximum > 255):
            raise ValueError("uint8 data must lie within [0, 255]")
        if self.dtype == "uint8" and self.missing_allowed:
            raise ValueError("missing_allowed needs float32: uint8 has no NaN")
        if self.columns and (self.kind, (len(self.columns),)) != ("table", self.axes):
            raise ValueError(f"{len(self.columns)} columns cannot name {self.kind} rows of shape {list(self.axes)}")
        self._check_image_fit()
        if self.array_fit is not None and (self.kind, self.dtype, self.minimum, self.sizes) != (
            "image",
            "uint8",
            0,
            None,
        ):
            raise ValueError("array_fit is for uint8 images of one size whose minimum is 0")
        return self

    @property
    def channels(self) -> int:
        """Number of channels of an image."""
        return int(self.axes[-1])

    def size_to_sample(self, size: PictureSize | None, field: str, model: str) -> PictureSize | None:
        """Returns the size of pictures to sample; None where every row has the same shape.

        Args:
            size: what the caller asks for; None: the default.
            field: what to call it in an error.
            model: name of the model whose data this is.

        Raises:
            InvalidInput: the model does not take this size, or has only one.
        """
        if self.sizes is None:
            if size is not None:
                raise self.needs_sizes(field, model)
            return None
        if size is not None and not self.sizes.takes(size):
            raise InvalidInput(field, f"is {size} pixels, height and width must be {self.sizes.rule}")
        return size or self.sizes.default

    def needs_sizes(self, field: str, model: str) -> InvalidInput:
        """Returns the error for what only models of many sizes take, where every row of this one has the same shape."""
        return InvalidInput(field, f"is for models of many sizes; every row of {model} has shape {list(self.shape)}")

    def _of_shape(self, shape: tuple[int, ...]) -> Self:
        return self.model_copy(update={"axes": shape, "sizes": None})

    def _check_image_fit(self) -> None:
        if self.image_fit is None:
            return
        if self.kind != "image" or self.channels not in (1, 3):
            raise ValueError(f"image_fit is for images in grey or colour, not for {self.kind} rows {list(self.axes)}")
        if self.image_fit.channels not in (None, self.channels):
            raise ValueError(f"image_fit converts to {self.image_fit.channels} channels, shape has {self.channels}")
