"""Model: a server's description of a model, checked once so that the client can rely on it."""

from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Literal

from google.protobuf.descriptor import EnumDescriptor
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveInt, StringConstraints, ValidationError

from vaeserve.errors import CallError, InvalidInput
from vaeserve.package.contents import Codes, LatentScaling, Likelihood, Prior
from vaeserve.package.data_spec import DataSpec, RowAxes
from vaeserve.package.row_spec import LatentSpec
from vaeserve.package.sizes import Axes
from vaeserve.printable import printable
from vaeserve.records import first_problem
from vaeserve.rows.codes import CodesSpec
from vaeserve.v1 import vae_pb2 as pb


class Limits(BaseModel):
    """Limits on one request. The client splits larger calls."""

    model_config = ConfigDict(frozen=True)

    call_rows: PositiveInt
    request_bytes: PositiveInt
    """Maximum size of a serialised request, in bytes."""
    batch_rows: int
    """Maximum number of rows that run in one batch."""
    encode_pixels: int = 0
    """Maximum number of pixels of a picture to encode, where sizes are free; 0: no other limit than theirs."""
    decode_pixels: int = 0
    """Maximum number of pixels of a picture to decode, likewise."""


class Exactness(BaseModel):
    """Whether a row's answer depends on its batch, as measured when the model was loaded."""

    model_config = ConfigDict(frozen=True)

    is_exact: bool
    largest_difference: NonNegativeFloat
    """Largest difference between two answers for the same row, over all floating-point outputs; 0 if exact."""


class Execution(BaseModel):
    """How the server runs a model's graphs."""

    model_config = ConfigDict(frozen=True)

    executors: PositiveInt
    """Maximum number of batches that run at the same time."""
    threads: PositiveInt
    """Threads of each executor."""
    source: str
    """Where these values and the rows per batch come from: "set", "cached" or "measured"."""
    row_seconds: NonNegativeFloat
    """Time per row in a full batch that runs every graph on an idle device; 0: the server does not say."""


class Model(BaseModel):
    """One encoder-decoder pair, and what runs it."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: PositiveInt
    fingerprint: Annotated[str, StringConstraints(min_length=1)]
    """Identifies the pair. Latents fit only the decoder of their own pair."""
    data: DataSpec
    latent_shape: RowAxes
    """Of one row; where sizes are free, for example [4, "height/8", "width/8"]."""
    posterior: Literal["gaussian", "none"]
    likelihood: Likelihood
    priors: tuple[Prior, ...]
    default_prior: str
    provider: str
    """What runs the graphs: "cpu" or "cuda"."""
    limits: Limits
    noise_algorithm: str
    exactness: Exactness | None
    """None: the server does not say."""
    execution: Execution | None
    """None: the server does not say."""
    scaling: LatentScaling | None = None
    """How latents relate to the raw ones of the pair's networks; None: they are the same."""
    codes: Codes | None = None
    """What levels a latent's values have; None: they are any numbers, and there are no codes."""
    precision: str = "float32"
    """Of the pair's weights and activations: "float32" or "fp16"."""
    is_default: bool
    """Whether calls that name this model without a version get this version."""
    metrics: dict[str, float]
    """Figures from training on held-out rows, in the order of their names."""

    @cached_property
    def latent(self) -> LatentSpec:
        """One row's latent."""
        return LatentSpec(self.latent_shape, self.data.sizes)

    def codes_spec(self, field: str) -> CodesSpec:
        """Returns one row's codes. Raises InvalidInput, named by `field`, if the model has none."""
        if self.codes is None:
            raise InvalidInput(field, f"are for models with codes; the latents of {self.name} are any numbers")
        return CodesSpec(self.codes.levels)


def parse_model(message: pb.Model) -> Model:
    """Returns the model that a message describes.

    Raises:
        CallError: INTERNAL; this version does not understand the message.
    """
    try:
        return Model(
            name=message.name,
            version=message.version,
            fingerprint=message.fingerprint,
            data=_data_spec(message.data),
            latent_shape=_axes(message.latent_shape, message.data.sizes.latent_factor),
            posterior=_word(pb.Posterior.DESCRIPTOR, message.posterior),
            likelihood=Likelihood(
                family=message.likelihood.family, constants=dict(sorted(message.likelihood.constants.items()))
            ),
            priors=tuple(Prior(name=prior.name, noise_size=prior.noise_size or None) for prior in message.priors),
            default_prior=message.default_prior,
            provider=message.provider,
            limits=Limits(
                call_rows=message.limits.call_rows,
                request_bytes=message.limits.request_bytes,
                batch_rows=message.limits.batch_rows,
                encode_pixels=message.limits.encode_pixels,
                decode_pixels=message.limits.decode_pixels,
            ),
            noise_algorithm=message.noise_algorithm,
            exactness=_exactness(message.exactness) if message.HasField("exactness") else None,
            execution=_execution(message.execution) if message.HasField("execution") else None,
            scaling=_scaling(message.scaling) if message.HasField("scaling") else None,
            codes=Codes(levels=tuple(message.codes.levels)) if message.HasField("codes") else None,
            precision=message.precision or "float32",
            is_default=message.is_default,
            metrics=dict(sorted(message.metrics.items())),  # a map on the wire has no order
        )
    except ValidationError as exc:
        problem = first_problem(exc)
        where = printable(".".join(filter(None, (exc.title, problem.where))))
        raise CallError(
            "INTERNAL", f"the server describes a model that this client does not understand: {where}: {problem.message}"
        ) from exc


def _exactness(message: pb.Exactness) -> Exactness:
    return Exactness(is_exact=message.is_exact, largest_difference=message.largest_difference)


def _execution(message: pb.Execution) -> Execution:
    return Execution(
        executors=message.executors,
        threads=message.threads,
        source=message.source,
        row_seconds=message.row_microseconds / 1e6,
    )


def _data_spec(message: pb.DataSpec) -> DataSpec:
    return DataSpec.model_validate(
        {
            "kind": _word(pb.DataKind.DESCRIPTOR, message.kind),
            "shape": _axes(message.shape, 1),
            "sizes": _sizes(message.sizes) if message.HasField("sizes") else None,
            "dtype": _word(pb.DataType.DESCRIPTOR, message.dtype),
            "minimum": message.minimum,
            "maximum": message.maximum,
            "missing_allowed": message.missing_allowed,
            "columns": tuple(message.columns),
            "image_fit": _image_fit(message.image_fit) if message.HasField("image_fit") else None,
            "array_fit": _array_fit(message.array_fit) if message.HasField("array_fit") else None,
        }
    )


def _axes(lengths: Iterable[int], factor: int) -> Axes:
    """Returns the axes of a row; those of length -1 are the height and then the width, over a factor."""
    over = f"/{factor}" if factor != 1 else ""
    free = iter((f"height{over}", f"width{over}"))
    return tuple(next(free, -1) if length == -1 else length for length in lengths)


def _sizes(message: pb.PictureSizes) -> dict[str, object]:
    return {
        "multiple": message.multiple,
        "minimum": message.minimum,
        "maximum": message.maximum,
        "default": (message.default_size.height, message.default_size.width),
    }


def _scaling(message: pb.LatentScaling) -> LatentScaling:
    return LatentScaling(
        shift=tuple(message.shift), scale=tuple(message.scale), applied=message.applied, formula=message.formula
    )


def _image_fit(message: pb.ImageFit) -> dict[str, str | int | None]:
    return {"fit": message.fit, "channels": message.channels or None, "white": message.white or None}


def _array_fit(message: pb.ArrayFit) -> dict[str, float | bool | None]:
    return {"white": message.white or None, "channels_first": message.channels_first}


def _word(enum: EnumDescriptor, number: int) -> str:
    """Returns the word of an enum value, for example "uint8" for DATA_TYPE_UINT8."""
    value = enum.values_by_number.get(number)
    return value.name.rsplit("_", 1)[-1].lower() if value else f"number {number}"  # of a newer server
