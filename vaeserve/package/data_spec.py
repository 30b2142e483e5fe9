"""DataSpec: one row of data as a manifest describes it, and how picture files became such rows."""

from typing import Annotated, Literal, Self

from pydantic import FailFast, Field, PositiveInt, model_validator

from vaeserve.package.row_spec import RowSpec
from vaeserve.records import Record

Shape = Annotated[tuple[PositiveInt, ...], Field(min_length=1, max_length=64)]  # as many axes as NumPy knows
Columns = Annotated[tuple[str, ...], FailFast()]
Fit = Literal["crop", "pad", "stretch", "exact"]


class ImageFit(Record):
    """How picture files of any size become rows, in the terms of `vae train`; each is turned upright as EXIF says."""

    fit: Fit
    """How each is brought to the height and width of a row; exact: other sizes are refused."""
    channels: Literal[1, 3] | None = None
    """Number of channels that colours are converted to; None: no conversion, other pictures are refused."""


class DataSpec(Record, RowSpec):
    """One row of data: what the encoder takes and the decoder gives."""

    kind: Literal["image", "table"]
    shape: Shape
    """[height, width, channels] for images, [features] for tables."""
    dtype: Literal["uint8", "float32"]
    minimum: float
    maximum: float
    missing_allowed: bool = False
    """Whether NaN stands for a missing value."""
    columns: Columns = ()
    """Names of a table's features, in order; empty if they have none."""
    image_fit: ImageFit | None = None
    """How picture files became rows; None: rows were not picture files, or that is not known."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.shape) != (3 if self.kind == "image" else 1):
            raise ValueError(f"{self.kind} rows cannot have shape {list(self.shape)}")
        if self.minimum >= self.maximum:
            raise ValueError("minimum must be below maximum")
        if self.dtype == "uint8" and (self.minimum < 0 or self.maximum > 255):
            raise ValueError("uint8 data must lie within [0, 255]")
        if self.dtype == "uint8" and self.missing_allowed:
            raise ValueError("missing_allowed needs float32: uint8 has no NaN")
        if self.columns and (self.kind, len(self.columns)) != ("table", self.size):
            raise ValueError(f"{len(self.columns)} columns cannot name {self.kind} rows of shape {list(self.shape)}")
        self._check_image_fit()
        return self

    def _check_image_fit(self) -> None:
        if self.image_fit is None:
            return
        if self.kind != "image" or self.shape[2] not in (1, 3):
            raise ValueError(f"image_fit is for images in grey or colour, not for {self.kind} rows {list(self.shape)}")
        if self.image_fit.channels not in (None, self.shape[2]):
            raise ValueError(f"image_fit converts to {self.image_fit.channels} channels, shape has {self.shape[2]}")
