"""What is asked of a job: all that decides the bytes of its files."""

from typing import Annotated, Literal, Self

from pydantic import Field

from vaeserve.package.contents import Codes, LatentScaling
from vaeserve.package.data_spec import DataSpec, RowAxes
from vaeserve.package.row_spec import LatentSpec
from vaeserve.package.sizes import PictureSize
from vaeserve.records import Record
from vaeserve.rows.codes import CodesSpec
from vaeserve.rows.noise import HIGHEST_TEMPERATURE
from vaeserve.slices import rows_that_fit

JobVerb = Literal["encode", "decode", "reconstruct", "sample"]
FileFormat = Literal["parquet", "safetensors", "npy"]
ListKind = Literal["plain", "fixed"]

Rows = Annotated[int, Field(ge=1, lt=2**31)]
BatchRows = Annotated[int, Field(ge=1, le=65_536)]
Threads = Annotated[int, Field(ge=1, le=1024)]
Seed = Annotated[int, Field(ge=0, lt=2**64)]
Count = Annotated[int, Field(ge=1, lt=2**62)]
Temperature = Annotated[float, Field(gt=0, le=HIGHEST_TEMPERATURE)]
Dtype = Literal["float32", "float16"]
Side = Annotated[int, Field(ge=1, le=65_536)]
"""Of a picture, in pixels."""
BucketSizes = tuple[PictureSize, ...]
Small = Literal["enlarge", "refuse"]

OUTPUTS: dict[JobVerb, tuple[str, ...]] = {
    "encode": ("mean", "sample", "moments", "codes"),
    "decode": ("data", "expectation"),
    "reconstruct": ("mean", "sample"),
    "sample": ("data", "expectation"),
}
"""What each verb can be asked for; the first is the default. Of `reconstruct` it is the latent that is decoded."""


class ModelFacts(Record):
    """The pair that a job runs. Another pair is refused."""

    name: str
    version: int
    fingerprint: str
    data: DataSpec
    latent_shape: RowAxes
    posterior: Literal["gaussian", "none"]
    has_likelihood: bool
    priors: tuple[str, ...]
    default_prior: str
    provider: str
    """What runs the graphs: "cpu" or "cuda". Another one may give other bits."""
    is_exact: bool | None
    """Whether a row's bits are the same in every batch; None: not known."""
    scaling: LatentScaling | None = None
    """How latents relate to those of the pair's networks; None: they are the same."""
    codes: Codes | None = None
    """What levels a latent's values have; None: they are any numbers."""

    def at(self, size: PictureSize | None) -> Self:
        """Returns what is known of rows of one size; None: the size is not free."""
        if size is None:
            return self
        return self.model_copy(update={"data": self.data.at(size), "latent_shape": self.latent.at(size).axes})

    @property
    def latent(self) -> LatentSpec:
        """One row's latent."""
        return LatentSpec(self.latent_shape, self.data.sizes)


class Bucketing(Record):
    """How pictures of many sizes are brought to a few, where the model takes many. None: not asked, or not needed."""

    buckets: Literal["auto"] | BucketSizes | None = None
    """Sizes that pictures are cropped to; "auto": as the next four options say; None: pictures are not cropped."""
    area: PictureSize | None = None
    """No automatic bucket has more pixels."""
    bucket_step: Side | None = None
    """Both sides of an automatic bucket are multiples of it."""
    bucket_minimum: Side | None = None
    """Minimum side of an automatic bucket."""
    bucket_maximum: Side | None = None
    """Maximum side of an automatic bucket."""
    small: Small | None = None
    """What becomes of a picture that is smaller than its bucket."""


class JobSettings(Bucketing):
    """What a job does with its rows, and how it writes them. A rerun must ask for the same."""

    verb: JobVerb
    output: str
    seed: Seed | None = None
    """Of a draw; None: nothing is drawn."""
    temperature: Temperature | None = None
    prior: str = ""
    count: Count | None = None
    """Number of rows to sample."""
    format: FileFormat
    lists: ListKind = "plain"
    """How Parquet holds a row of several numbers: a list, or an Arrow list of fixed size."""
    dtype: Dtype = "float32"
    """Of the numbers in safetensors and .npy files."""
    columns: tuple[str, ...] = ()
    """Columns of a table that become a row."""
    keep: tuple[str, ...] = ()
    """Columns of a table that travel along."""
    flip: bool = False
    """Whether the mirror image of each picture is encoded too."""
    codes: bool = False
    """Whether codes are decoded, not latents."""
    partition_rows: Rows
    batch_rows: BatchRows
    """Rows that run together, of the smallest size; out of memory they are halved."""
    threads: Threads
    """Threads of one batch, where the job itself runs the graphs."""

    def batch_at(self, model: ModelFacts, size: PictureSize | None) -> int:
        """Returns how many rows of a size run together."""
        return rows_that_fit(self.batch_rows, model.data.weight(size))

    @property
    def is_drawn(self) -> bool:
        """Whether answers depend on a seed."""
        return self.verb == "sample" or self.output == "sample"


def rows_of_source(verb: JobVerb, model: ModelFacts, *, codes: bool = False) -> DataSpec | LatentSpec | CodesSpec:
    """Returns what a row of a verb's source is: a latent for `decode`, or its codes; data for the others."""
    if codes and model.codes is not None:
        return CodesSpec(model.codes.levels)
    return model.latent if verb == "decode" else model.data
