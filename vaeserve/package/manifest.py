"""Manifest: the description of a model package, kept in its `manifest.json`."""

from datetime import datetime
from functools import cached_property
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_core import from_json

from vaeserve.errors import PackageError
from vaeserve.package.contents import (
    NO_LIKELIHOOD,
    Codes,
    File,
    Graph,
    Graphs,
    LatentScaling,
    Likelihood,
    Name,
    PairPrecision,
    Parity,
    Prior,
    Probes,
    Provenance,
    Sha256,
    fingerprint_of,
)
from vaeserve.package.data_spec import DataSpec, RowAxes
from vaeserve.package.row_spec import LatentSpec
from vaeserve.package.signatures import pair_signatures, prior_signatures
from vaeserve.package.sizes import factor_of, free_axes
from vaeserve.records import Record, first_problem

SCHEMA_VERSION: Final = 2  # the only one that is read
STANDARD = "standard"  # the prior N(0, I)
MANIFEST_FILE = "manifest.json"

_MAXIMUM_VALUES = 5000  # without columns: each may become an error, which takes a thousand times its bytes
_MAXIMUM_CHARACTERS = 500  # of an error, which may quote what is wrong


class Manifest(Record):
    """Describes a model package; `parse` reads one."""

    schema_version: Literal[2] = SCHEMA_VERSION
    name: Name
    version: Annotated[int, Field(ge=1, le=2**31 - 1)]
    created_at: datetime
    fingerprint: Sha256
    """Identifies the pair: see `fingerprint_of`."""
    data: DataSpec
    latent_shape: RowAxes
    """Of one row; of many sizes for example [4, "height/8", "width/8"]."""
    posterior: Literal["gaussian", "none"]
    encoder_afterwards: Literal[True] | None = None
    """Set if the decoder was trained first, and the encoder afterwards on what it decodes, as a GAN's is."""
    likelihood: Likelihood
    """Of the family "none" where the pair was trained without one."""
    priors: tuple[Prior, ...]
    """Empty: the pair has no prior that anything could be sampled from."""
    default_prior: Name | Literal[""] = STANDARD
    """Name of one of the priors; empty where there are none."""
    scaling: LatentScaling | None = None
    """How latents relate to those of the pair's networks; None: they are the same."""
    codes: Codes | None = None
    """What levels a latent's values have; None: they are any numbers."""
    graphs: Graphs
    probes: Probes
    readme: File | None = None
    assets: tuple[File, ...] = ()
    """What the readme shows, and figures in full."""
    precision: PairPrecision = "float32"
    """Of the pair's weights and activations; inputs and outputs are the same in each."""
    float32: Graphs | None = None
    """The same pair in float32, for rows that come out of a pair in half precision as NaN or infinity."""
    preprocessing: str = ""
    """What the graphs already do to the data, stated for people."""
    provenance: Provenance | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    parity: Parity | None = None

    @cached_property
    def latent(self) -> LatentSpec:
        """One row's latent."""
        return LatentSpec(self.latent_shape, self.data.sizes)

    @property
    def model_prior(self) -> str:
        """Name of the prior that is part of the model, the p(z) of its ELBO; empty if there is none.

        It is the default prior of a model whose latents have a probability. Other latents follow no prior, and are
        sampled from one that is fitted afterwards.
        """
        return self.default_prior if self.posterior == "gaussian" or self.codes is not None else ""

    @property
    def latent_factor(self) -> int:
        """Pixels of a side for each place of the latent along it; 1 where sizes are not free."""
        return factor_of(self.latent_shape)

    @property
    def files(self) -> tuple[File, ...]:
        """Every file of the package but the manifest itself."""
        in_float32 = () if self.float32 is None else self.float32.by_name.values()
        listed = (*self.all_graphs.values(), *in_float32, self.probes, self.readme, *self.assets)
        return tuple(file for file in listed if file is not None)

    @property
    def all_graphs(self) -> dict[str, Graph]:
        """Every graph of the package, by the name that its probes have: encoder, ..., prior.NAME, density.NAME."""
        of_priors = {name: graph for prior in self.priors for name, graph in prior.graphs.items()}
        return self.graphs.by_name | of_priors

    @property
    def served_graphs(self) -> dict[str, Graph]:
        """The graphs that a server runs: all but the densities."""
        of_priors = {f"prior.{prior.name}": prior.graph for prior in self.priors if prior.graph is not None}
        return self.graphs.by_name | of_priors

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_names()
        if self.fingerprint != fingerprint_of(self.graphs.encoder.sha256, self.graphs.decoder.sha256):
            raise ValueError("fingerprint does not match the graphs' checksums")
        self._check_axes()
        self._check_graphs()
        for prior in self.priors:
            self._check_prior(prior)
        return self

    def _check_names(self) -> None:
        names = [prior.name for prior in self.priors]
        if self.default_prior not in (names or [""]):
            raise ValueError(f"default_prior {self.default_prior!r} is not among the priors")
        if len(set(names)) < len(names):
            raise ValueError("priors: lists a name twice")
        files = [file.file for file in self.files]
        if len(set(files)) < len(files) or MANIFEST_FILE in files:
            raise ValueError(f"lists a file twice, or {MANIFEST_FILE} itself, among {', '.join(files)}")

    def _check_axes(self) -> None:
        sizes = self.data.sizes
        free = free_axes(self.latent_shape)
        if bool(free) != (sizes is not None):
            raise ValueError("latent_shape: must have free axes where the data has, and nowhere else")
        if sizes is not None:
            over = f"/{self.latent_factor}" if self.latent_factor > 1 else ""
            if free != (f"height{over}", f"width{over}"):
                raise ValueError("latent_shape: must have one axis for the height and one for the width, of one factor")
            if sizes.multiple % self.latent_factor:
                raise ValueError("data.sizes.multiple: must be a multiple of the latent's factor")
        if self.scaling is not None:
            counts = {len(self.scaling.shift), len(self.scaling.scale)}
            if not counts <= {1, self.latent_shape[0]}:
                raise ValueError(f"scaling: must hold 1 or {self.latent_shape[0]} numbers, one for each channel")
        self._check_codes()

    def _check_codes(self) -> None:
        if self.codes is None:
            return
        if self.posterior != "none" or self.data.sizes is not None or len(self.latent_shape) != 1:
            raise ValueError("codes: are for latents of one axis and one size, without a posterior")
        if len(self.codes.levels) != self.latent.value_count:
            raise ValueError(f"codes.levels: must hold {self.latent.value_count} numbers, one for each value")

    def _check_graphs(self) -> None:
        decoded = {spec.name: spec.row_axes for spec in self.graphs.decoder.outputs}
        if self.graphs.likelihood is not None and "parameters" not in decoded:
            raise ValueError("decoder: must answer the parameters that the likelihood takes")
        if self.graphs.likelihood is not None and self.likelihood.family == NO_LIKELIHOOD:
            raise ValueError(f'likelihood: there is a graph, so the family cannot be "{NO_LIKELIHOOD}"')
        if (self.precision == "float32") != (self.float32 is None):
            raise ValueError("float32: must be there if the precision is fp16, and only then")
        data, parameters_shape = (self.data.dtype, self.data.axes), decoded.get("parameters", ())
        has_codes = self.codes is not None
        signatures = pair_signatures(data, self.latent_shape, parameters_shape, self.posterior, has_codes=has_codes)
        for prior in self.priors:
            signatures |= prior_signatures(prior.name, prior.noise_size, self.latent_shape)
        for name, graph in self.all_graphs.items():
            graph.check(name, signatures[name])
        for name, graph in ({} if self.float32 is None else self.float32.by_name).items():
            graph.check(f"float32 {name}", signatures[name])

    def _check_prior(self, prior: Prior) -> None:
        if (prior.noise_size is None) != (self.data.sizes is not None):
            raise ValueError(f"prior {prior.name!r}: noise_size must be there, except where sizes are free")
        if prior.name == STANDARD:
            if (prior.noise_size is not None and prior.noise_size != self.latent.value_count) or prior.graphs:
                raise ValueError(f"prior {STANDARD!r} takes as many normals as a latent has values, and no graph")
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
            PackageError: the JSON is malformed, of another schema version, or describes a package that cannot exist.
        """
        try:
            version = _AnyManifest.model_validate_json(text).schema_version
            if version != SCHEMA_VERSION:
                raise PackageError(
                    f"{source}: schema_version {version} is unknown; this version reads {SCHEMA_VERSION}"
                )
            if _count_values(text) > _MAXIMUM_VALUES:
                raise PackageError(f"{source}: holds more than {_MAXIMUM_VALUES} values beside the names of columns")
            return cls.model_validate_json(text)
        except ValidationError as exc:
            raise PackageError(f"{source}: {str(first_problem(exc))[:_MAXIMUM_CHARACTERS]}") from exc


def _count_values(text: str | bytes) -> int:
    """Returns how many values a manifest holds, nested ones included and names of columns excluded."""
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
