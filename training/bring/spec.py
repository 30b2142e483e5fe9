"""Spec: what the author says about a pair, in Python or as a TOML file."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from training.bring.roles import Outputs
from training.settings.resolve import problem_of
from training.settings.versions import Version
from vaeserve.errors import TrainingError
from vaeserve.package.contents import Name
from vaeserve.package.data_spec import DataSpec, ImageFit, Shape
from vaeserve.records import Record, first_problem

ShapeOrSize = Annotated[
    Shape, BeforeValidator(lambda sizes: (sizes,) if isinstance(sizes, int) else sizes), Field(strict=False)
]
Roles = Annotated[tuple[str, ...], Field(strict=False)]
LEAST_SCALE = 0.003  # smaller scales lie below the Gaussian's soft floor


class Spec(Record):
    """What a pair takes and answers; the keys of a TOML file are these fields."""

    model_config = ConfigDict(strict=True)

    name: Name
    """The model's name for clients."""
    version: Version = 1
    title: str = ""
    """A description in one line."""

    kind: Literal["image", "table"]
    shape: ShapeOrSize
    """Shape of one row, as clients send it: [height, width, channels], or the number of columns."""
    dtype: Literal["uint8", "float32"] | None = None
    """Type of the data that clients send; default: uint8 for images, float32 for tables."""
    minimum: float | None = None
    """Data outside minimum and maximum is refused; default: 0 and 255 for uint8."""
    maximum: float | None = None
    columns: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Names of a table's columns, in order."""
    image_fit: ImageFit | None = None
    """How picture files became rows, for example {fit = "crop", channels = 3}; `vae encode` then fits them so."""

    latent_shape: ShapeOrSize
    """Shape of one row's latent."""
    posterior: Literal["gaussian", "none"] = "gaussian"
    """none: the encoder answers a point instead of a distribution."""

    layout: Literal["NHWC", "NCHW", "flat"] = "NHWC"
    """Layout of the pair's own images; flat: [channels * height * width]."""
    scaled_to: Annotated[tuple[float, float], Field(strict=False)] | None = None
    """The pair's own range for minimum and maximum, for example [0, 1] or [-1, 1]; default: no scaling."""
    encoder_outputs: Roles | None = None
    """What the encoder's outputs are, in their order; moments: mean, and log_variance behind it on axis 1."""
    decoder_outputs: Roles | None = None
    """What the decoder's outputs are, in their order; with data the expectation is taken as it is."""

    likelihood: str | None = None
    """Family of the distribution of data given a latent."""
    likelihood_scale: Annotated[float, Field(ge=LEAST_SCALE)] | None = None
    """Standard deviation of a gaussian, in the pair's own units."""
    tolerance: Annotated[float, Field(ge=1e-6, le=0.01)] = 1e-5
    """Maximum difference between the graphs' answers and the pair's own; the relative one is ten times that."""

    @property
    def data(self) -> DataSpec:
        """What a row is."""
        dtype = self.dtype or ("uint8" if self.kind == "image" else "float32")
        low, high = self.minimum, self.maximum
        if low is None or high is None:
            if dtype != "uint8":
                raise ValueError("minimum and maximum: must be given for float32 data")
            low, high = (0.0 if low is None else low), (255.0 if high is None else high)
        return DataSpec(
            kind=self.kind,
            shape=self.shape,
            dtype=dtype,
            minimum=low,
            maximum=high,
            columns=self.columns,
            image_fit=self.image_fit,
        )

    @property
    def encoder(self) -> Outputs:
        """What the encoder may answer."""
        choices = (("mean", "log_variance"), ("moments",)) if self.posterior == "gaussian" else (("mean",),)
        return Outputs("encoder_outputs", choices, self.encoder_outputs)

    @property
    def decoder(self) -> Outputs:
        """What the decoder may answer."""
        of_data = (("data", "expectation"), ("data", "expectation", "parameters"))
        choices = (("expectation",), ("logits",), *of_data, ("expectation", "parameters"))
        return Outputs("decoder_outputs", choices, self.decoder_outputs)

    @property
    def has_other_axes(self) -> bool:
        """Whether the pair itself takes channels before height and width."""
        return self.kind == "image" and self.layout != "NHWC"

    @property
    def own_shape(self) -> tuple[int, ...]:
        """Shape of a row as the pair itself takes it."""
        if self.layout == "flat":
            return (self.data.value_count,)
        if self.layout == "NCHW":
            height, width, channels = self.shape
            return (channels, height, width)
        return self.shape

    @property
    def center(self) -> float:
        """The data value that the pair sees as 0: own = (data - center) / scale."""
        return 0.0 if self.scaled_to is None else self.data.minimum - self.scaled_to[0] * self.scale

    @property
    def scale(self) -> float:
        """The difference in data that the pair sees as 1."""
        if self.scaled_to is None:
            return 1.0
        low, high = self.scaled_to
        return (self.data.maximum - self.data.minimum) / (high - low)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        try:
            data = self.data
        except ValidationError as exc:
            raise ValueError(first_problem(exc).message) from exc
        if data.kind == "table" and self.layout == "NCHW":
            raise ValueError("layout: NCHW is for images")
        if self.scaled_to is not None and self.scaled_to[0] >= self.scaled_to[1]:
            raise ValueError("scaled_to: the first must be below the second")
        for outputs in (self.encoder, self.decoder):
            if outputs.names is not None and not outputs.are_enough(outputs.names):
                raise ValueError(f"{outputs.key}: {outputs.rule}")
        if (self.likelihood == "gaussian") < (self.likelihood_scale is not None):
            raise ValueError("likelihood_scale: is for a gaussian likelihood alone")
        return self


def parse_spec(settings: dict[str, object], source: str) -> Spec:
    """Returns the spec with these values by field name.

    Raises:
        TrainingError: a key is unknown, missing or wrong; names the source and the key.
    """
    try:
        return Spec.model_validate(settings)
    except ValidationError as exc:
        hint = f"known are {', '.join(Spec.model_fields)}"
        where, problem = problem_of(exc, settings, Spec.model_fields, hint)
        place = f"{source}: {where}" if where else source
        raise TrainingError(f"{place}: {problem}") from exc
