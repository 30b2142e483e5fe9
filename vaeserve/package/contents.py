"""What a manifest says of a package's files: graphs, priors, probes, and the checks that they passed."""

import hashlib
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from vaeserve.package.data_spec import FreeAxis
from vaeserve.package.footprints import Footprints
from vaeserve.package.signatures import Signature, Tensors
from vaeserve.package.sizes import Axes
from vaeserve.records import Record

BATCH = "batch"  # name of the symbolic first axis in every graph

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]  # no separators: stays in the package
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PairPrecision = Literal["float32", "fp16"]


NO_LIKELIHOOD = "none"  # the family of a pair that gives rows no likelihood at all


class File(Record):
    """A file of the package and its checksum."""

    file: FileName
    sha256: Sha256


class TensorSpec(Record):
    """An input or output of a graph."""

    name: str
    dtype: Literal["uint8", "uint16", "float32"]
    shape: tuple[PositiveInt | Literal["batch"] | FreeAxis, ...]
    """The first axis is "batch", and no other."""

    @property
    def row_axes(self) -> Axes:
        """Length of each axis of a row, or the side of the picture that it follows."""
        return tuple(axis for axis in self.shape if axis != BATCH)

    @model_validator(mode="after")
    def _batch_first(self) -> Self:
        if self.shape != (BATCH, *self.row_axes):
            raise ValueError(f'shape must be "{BATCH}" and then the sizes of one row')
        return self


class Graph(File):
    """An ONNX graph of the package."""

    opset: PositiveInt
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    footprints: Footprints = ()
    """Memory of a row at several sizes, from the smallest to the largest; empty where all rows have one size."""

    def check(self, name: str, signature: Signature) -> None:
        """Checks inputs and outputs against a signature. Raises ValueError, which names the graph."""
        _check_tensors(name, self.inputs, signature.inputs, exactly=True)
        _check_tensors(name, self.outputs, signature.outputs)


def _check_tensors(graph: str, listed: tuple[TensorSpec, ...], expected: Tensors, *, exactly: bool = False) -> None:
    tensors = {spec.name: (spec.dtype, spec.row_axes) for spec in listed}
    if len(tensors) < len(listed) or (exactly and len(tensors) > len(expected)):
        raise ValueError(f"{graph}: must list {', '.join(expected)}{' alone' if exactly else ''}, and nothing twice")
    for name, (dtype, shape) in expected.items():
        if tensors.get(name) != (dtype, shape):
            raise ValueError(f"{graph}: {name} must be {dtype} [{', '.join([BATCH, *map(str, shape)])}]")


class Graphs(Record):
    """The pair, and the likelihood that scores it."""

    encoder: Graph
    """data -> mean (and log_variance, if the posterior is gaussian; and codes, if the manifest has such)."""
    decoder: Graph
    """latent -> data, expectation, parameters."""
    likelihood: Graph | None = None
    """data, parameters -> log_likelihood, nats a row."""

    @property
    def by_name(self) -> dict[str, Graph]:
        """The graphs that exist, by name."""
        graphs = {"encoder": self.encoder, "decoder": self.decoder, "likelihood": self.likelihood}
        return {name: graph for name, graph in graphs.items() if graph is not None}


class Prior(Record):
    """A distribution over latents to sample from. `standard` is N(0, I) and has no graph; every other one has."""

    name: Name
    noise_size: PositiveInt | None = None
    """Number of standard normals that one row takes; None: as many as its latent has values, where sizes are free."""
    graph: Graph | None = None
    """noise [batch, noise_size], or of the latent's shape where sizes are free; temperature [batch] -> latent."""
    density: Graph | None = None
    """latent -> log_prior, nats a row. No server runs it."""

    @property
    def graphs(self) -> dict[str, Graph]:
        """The graphs that exist, by the name that their probes have."""
        graphs = {f"prior.{self.name}": self.graph, f"density.{self.name}": self.density}
        return {name: graph for name, graph in graphs.items() if graph is not None}


class Codes(Record):
    """Latents that are codes: each value is one of a few levels, which the encoder answers by number too.

    Level k of L is the latent value (k - H) / H with H = L // 2 (`vaeserve.rows.codes`).
    """

    levels: Annotated[tuple[Annotated[int, Field(ge=2, le=65536)], ...], Field(min_length=1, max_length=1024)]
    """Number of levels of each value of a latent."""


class LatentScaling(Record):
    """How a pair's latents relate to the raw ones of its networks: latent = (raw - shift) * scale."""

    shift: Annotated[tuple[float, ...], Field(min_length=1)]
    """One number for each channel of the latent, or one for all."""
    scale: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]
    """One number for each channel of the latent, or one for all."""
    applied: bool
    """Whether the graphs do it: the encoder scales, and the decoder takes scaled latents. False: latents are raw."""
    formula: str = ""
    """What the pair's own pipeline does, in its own terms."""

    @property
    def numbers(self) -> str:
        """Shift and scale in words; where channels have their own, only that they have."""
        if len(self.shift) == len(self.scale) == 1:
            return f"shift {self.shift[0]:.7g}, scale {self.scale[0]:.7g}"
        return "a shift and a scale for each channel"


class Likelihood(Record):
    """Distribution of data given a latent."""

    family: str
    constants: dict[str, float] = Field(default_factory=dict)
    """Constants of the family, for example {"trials": 16}."""


class Tolerance(Record):
    """How far a provider's answers may lie from the trainer's: absolute + relative * |reference|."""

    absolute: Annotated[float, Field(ge=0, le=1)]
    relative: Annotated[float, Field(ge=0, le=1)]


class Probes(File):
    """Fixed inputs and the trainer's own outputs for them, and how close a provider must come."""

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
    """Over its rows and their split into training, validation and test rows."""
    config: dict[str, str | int | float | bool | None]
    libraries: dict[str, str]


def fingerprint_of(encoder_sha256: str, decoder_sha256: str) -> str:
    """Returns the pair's fingerprint: SHA-256 over the two graphs' checksums in hexadecimal, encoder first."""
    return hashlib.sha256(f"{encoder_sha256}{decoder_sha256}".encode()).hexdigest()
