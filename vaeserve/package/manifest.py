"""Manifest: the description of a model package, kept in its `manifest.json`."""

import hashlib
from datetime import datetime
from functools import cached_property
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, FailFast, Field, PositiveInt, ValidationError, model_validator
from pydantic_core import from_json

from vaeserve.errors import PackageError
from vaeserve.package.row_spec import LatentSpec, RowSpec
from vaeserve.package.signatures import Tensors, pair_signatures, prior_signatures
from vaeserve.records import Record, first_problem

SCHEMA_VERSION: Final = 2  # the only one that is read
STANDARD = "standard"  # the prior N(0, I)
MANIFEST_FILE = "manifest.json"
BATCH = "batch"  # name of the symbolic first axis in every graph

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]  # no separators: stays in the package
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Shape = Annotated[tuple[PositiveInt, ...], Field(min_length=1, max_length=64)]  # as many axes as NumPy knows
Columns = Annotated[tuple[str, ...], FailFast()]
Fit = Literal["crop", "pad", "stretch", "exact"]

_MOST_VALUES = 5000  # of a manifest, columns apart: each may be an error, which costs some thousand times its bytes
_MOST_SAID = 500  # characters of an error, which may quote what is wrong


class ImageFit(Record):
    """How picture files of any size become rows; in the words of `vae train`. All are turned upright, as EXIF says."""

    fit: Fit
    """How each is brought to the height and width of a row; exact: not at all, others are refused."""
    channels: Literal[1, 3] | None = None
    """To what colours are converted; None: not at all, others are refused."""


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
    """Names of a table's features, in order; empty where they have none."""
    image_fit: ImageFit | None = None
    """How pictures were brought to rows; None where rows were no picture files, or nobody told."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.shape) != (3 if self.kind == "image" else 1):
            raise ValueError(f"{self.kind} rows cannot have shape {list(self.shape)}")
        if self.minimum >= self.maximum:
            raise ValueError("minimum must be below maximum")
        if self.dtype == "uint8" and (self.minimum < 0 or self.maximum > 255):
            raise ValueError("uint8 data lies within [0, 255]")
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


class Likelihood(Record):
    """Distribution of data given a latent."""

    family: str
    constants: dict[str, float] = Field(default_factory=dict)
    """Constants of the family, for example {"trials": 16}."""


class File(Record):
    """A file of the package and its checksum."""

    file: FileName
    sha256: Sha256


class TensorSpec(Record):
    """An input or output of a graph."""

    name: str
    dtype: Literal["uint8", "float32"]
    shape: tuple[PositiveInt | Literal["batch"], ...]
    """The first axis is "batch", and no other."""

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return tuple(axis for axis in self.shape if isinstance(axis, int))

    @model_validator(mode="after")
    def _batch_first(self) -> Self:
        if self.shape != (BATCH, *self.row_shape):
            raise ValueError(f'shape must be "{BATCH}" and then the sizes of one row')
        return self


class Graph(File):
    """An ONNX graph of the package."""

    opset: PositiveInt
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


class Graphs(Record):
    """The pair, and the likelihood that scores it."""

    encoder: Graph
    """data -> mean (and log_variance, if the posterior is gaussian)."""
    decoder: Graph
    """latent -> data, expectation, parameters."""
    likelihood: Graph | None = None
    """data, parameters -> log_likelihood, nats a row."""

    @property
    def by_name(self) -> dict[str, Graph]:
        """The graphs that there are."""
        graphs = {"encoder": self.encoder, "decoder": self.decoder, "likelihood": self.likelihood}
        return {name: graph for name, graph in graphs.items() if graph is not None}


class Prior(Record):
    """A distribution over latents to sample from. `standard` is N(0, I) and has no graph, every other one has."""

    name: Name
    noise_size: PositiveInt
    """Number of standard normals that one row takes."""
    graph: Graph | None = None
    """noise [batch, noise_size], temperature [batch] -> latent."""
    density: Graph | None = None
    """latent -> log_prior, nats a row. No server runs it."""

    @property
    def graphs(self) -> dict[str, Graph]:
        """The graphs that there are, by the name that their probes have."""
        graphs = {f"prior.{self.name}": self.graph, f"density.{self.name}": self.density}
        return {name: graph for name, graph in graphs.items() if graph is not None}


class Tolerance(Record):
    """How far a provider's answers may lie from the trainer's: absolute + relative * |reference|."""

    absolute: Annotated[float, Field(ge=0, le=1)]
    relative: Annotated[float, Field(ge=0, le=1)]


class Probes(File):
    """Fixed inputs and the trainer's own outputs for them, and how near a provider must come."""

    tolerances: dict[Literal["cpu", "cuda"], Tolerance]


class ParityCheck(Record):
    """One output of one graph against PyTorch, over every batch size and kind of row."""

    output: str
    """For example "encoder.mean"."""
    rows: PositiveInt
    largest_difference: float
    tolerance: str
    """The bound in words, for example "1e-05 + 1e-04 |reference|"."""


class Parity(Record):
    """Report of the check that export passed."""

    batch_sizes: tuple[PositiveInt, ...]
    checks: tuple[ParityCheck, ...]


class Provenance(Record):
    """Where the model came from."""

    dataset: str
    data_sha256: Sha256
    """Over its rows and their split into those to train on, to validate on and to test on."""
    config: dict[str, str | int | float | bool | None]
    libraries: dict[str, str]


class Manifest(Record):
    """Describes a model package. Raises PackageError from `parse` where it is not understood."""

    schema_version: Literal[2] = SCHEMA_VERSION
    name: Name
    version: Annotated[int, Field(ge=1, le=2**31 - 1)]
    created_at: datetime
    fingerprint: Sha256
    """Identifies the pair: see `fingerprint_of`."""
    data: DataSpec
    latent_shape: Shape
    posterior: Literal["gaussian", "none"]
    likelihood: Likelihood
    priors: Annotated[tuple[Prior, ...], Field(min_length=1)]
    default_prior: Name = STANDARD
    graphs: Graphs
    probes: Probes
    readme: File | None = None
    assets: tuple[File, ...] = ()
    """What the readme shows, and figures in full."""
    preprocessing: str = ""
    """What the graphs already do to the data, stated for people."""
    provenance: Provenance | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    parity: Parity | None = None

    @cached_property
    def latent(self) -> LatentSpec:
        """One row's latent."""
        return LatentSpec(self.latent_shape)

    @property
    def files(self) -> tuple[File, ...]:
        """Every file of the package but the manifest itself."""
        listed = (*self.all_graphs.values(), self.probes, self.readme, *self.assets)
        return tuple(file for file in listed if file is not None)

    @property
    def all_graphs(self) -> dict[str, Graph]:
        """Every graph of the package, by the name that its probes have: encoder, ..., prior.NAME, density.NAME."""
        of_priors = {name: graph for prior in self.priors for name, graph in prior.graphs.items()}
        return self.graphs.by_name | of_priors

    @property
    def served_graphs(self) -> dict[str, Graph]:
        """Those that a server runs: all but the densities."""
        of_priors = {f"prior.{prior.name}": prior.graph for prior in self.priors if prior.graph is not None}
        return self.graphs.by_name | of_priors

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_names()
        if self.fingerprint != fingerprint_of(self.graphs.encoder.sha256, self.graphs.decoder.sha256):
            raise ValueError("fingerprint does not match the graphs' checksums")
        self._check_graphs()
        for prior in self.priors:
            self._check_prior(prior)
        return self

    def _check_names(self) -> None:
        names = [prior.name for prior in self.priors]
        if self.default_prior not in names:
            raise ValueError(f"default_prior {self.default_prior!r} is not among the priors")
        if len(set(names)) < len(names):
            raise ValueError("priors: lists a name twice")
        files = [file.file for file in self.files]
        if len(set(files)) < len(files) or MANIFEST_FILE in files:
            raise ValueError(f"lists a file twice, or {MANIFEST_FILE} itself, among {', '.join(files)}")

    def _check_graphs(self) -> None:
        decoded = {spec.name: spec.row_shape for spec in self.graphs.decoder.outputs}
        if self.graphs.likelihood is not None and "parameters" not in decoded:
            raise ValueError("decoder: must answer the parameters that the likelihood takes")
        data, parameters_shape = (self.data.dtype, self.data.shape), decoded.get("parameters", ())
        signatures = pair_signatures(data, self.latent_shape, parameters_shape, self.posterior)
        for prior in self.priors:
            signatures |= prior_signatures(prior.name, prior.noise_size, self.latent_shape)
        for name, graph in self.all_graphs.items():
            _expect(name, graph.inputs, signatures[name].inputs, exactly=True)
            _expect(name, graph.outputs, signatures[name].outputs)

    def _check_prior(self, prior: Prior) -> None:
        if prior.name == STANDARD:
            if prior.noise_size != self.latent.size or prior.graphs:
                raise ValueError(f"prior {STANDARD!r} takes {self.latent.size} normals a row, and no graph")
        elif prior.graph is None:
            raise ValueError(f"prior {prior.name!r} needs a graph; {STANDARD!r} alone has none")

    def to_json(self) -> str:
        """Returns the manifest as indented JSON."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"

    @classmethod
    def parse(cls, text: str | bytes, source: str = MANIFEST_FILE) -> Self:
        """Reads a manifest.

        Args:
            text: the JSON.
            source: what to call it in an error, usually its path.

        Raises:
            PackageError: the JSON is malformed, of another schema version, or describes no possible package.
        """
        try:
            version = _AnyManifest.model_validate_json(text).schema_version
            if version != SCHEMA_VERSION:
                raise PackageError(
                    f"{source}: schema_version {version} is unknown; this version reads {SCHEMA_VERSION}"
                )
            if _count_values(text) > _MOST_VALUES:
                raise PackageError(f"{source}: holds more than {_MOST_VALUES} values beside the names of columns")
            return cls.model_validate_json(text)
        except ValidationError as exc:
            raise PackageError(f"{source}: {str(first_problem(exc))[:_MOST_SAID]}") from exc


def _expect(graph: str, listed: tuple[TensorSpec, ...], expected: Tensors, *, exactly: bool = False) -> None:
    found = {spec.name: (spec.dtype, spec.row_shape) for spec in listed}
    if len(found) < len(listed) or (exactly and len(found) > len(expected)):
        raise ValueError(f"{graph}: must list {', '.join(expected)}{' alone' if exactly else ''}, and nothing twice")
    for name, (dtype, shape) in expected.items():
        if found.get(name) != (dtype, shape):
            raise ValueError(f"{graph}: {name} must be {dtype} [{', '.join([BATCH, *map(str, shape)])}]")


def _count_values(text: str | bytes) -> int:
    """Returns how many values a manifest holds, within others too, names of columns apart."""
    parsed = from_json(text)
    if isinstance(data := parsed.get("data"), dict):
        data.pop("columns", None)
    waiting, count = [parsed], 0
    while waiting:
        value = waiting.pop()
        count += 1
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return count


class _AnyManifest(BaseModel):
    """The one key that every schema version shares."""

    schema_version: int


def fingerprint_of(encoder_sha256: str, decoder_sha256: str) -> str:
    """Returns the pair's fingerprint: SHA-256 over the two graphs' checksums in hexadecimal, encoder first."""
    return hashlib.sha256(f"{encoder_sha256}{decoder_sha256}".encode()).hexdigest()
