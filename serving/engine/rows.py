"""What callers want done with rows, and what becomes of them. Rows can be counted and cut, as the batcher does."""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Self

from vaeserve.package.manifest import STANDARD
from vaeserve.package.row_spec import Array
from vaeserve.package.sizes import PictureSize
from vaeserve.rows.noise import RowRange

OutputKind = Literal["data", "expectation"]


@dataclass(frozen=True, slots=True)
class DataRows:
    """Rows to encode."""

    data: Array
    """[rows, *data shape]."""
    log_variance: bool = False
    """Whether the log-variance is answered too."""
    noise: RowRange | None = None
    """Addresses of the rows' noise where a draw is wanted instead of the mean."""
    size: PictureSize | None = None
    """Of the pictures, where it is free."""
    codes: bool = False
    """Whether the codes are answered too; of a model that has such."""

    @property
    def key(self) -> PictureSize | None:
        """What rows that run together have in common."""
        return self.size

    def __len__(self) -> int:
        return len(self.data)

    def part(self, start: int, stop: int) -> Self:
        """Returns rows start to stop - 1."""
        noise = self.noise and _part(self.noise, start, stop)
        return replace(self, data=self.data[start:stop], noise=noise)


@dataclass(frozen=True, slots=True)
class ReconstructRows(DataRows):
    """Rows to encode, decode and score."""

    output: OutputKind = "data"


@dataclass(frozen=True, slots=True)
class LatentRows:
    """Latents to decode."""

    latent: Array
    """[rows, *latent shape]."""
    output: OutputKind
    size: PictureSize | None = None
    """Of the decoded pictures, where it is free."""

    @property
    def key(self) -> PictureSize | None:
        """What rows that run together have in common."""
        return self.size

    def __len__(self) -> int:
        return len(self.latent)

    def part(self, start: int, stop: int) -> Self:
        """Returns rows start to stop - 1."""
        return replace(self, latent=self.latent[start:stop])


@dataclass(frozen=True, slots=True)
class PriorRows:
    """Rows to draw from a prior and decode."""

    noise: RowRange
    temperature: float
    output: OutputKind
    include_latent: bool = False
    """Whether the latents are answered too."""
    prior: str = STANDARD
    """Name of one of the model's priors."""
    size: PictureSize | None = None
    """Of the pictures, where it is free."""

    @property
    def key(self) -> PictureSize | None:
        """What rows that run together have in common."""
        return self.size

    def __len__(self) -> int:
        return self.noise.rows

    def part(self, start: int, stop: int) -> Self:
        """Returns rows start to stop - 1."""
        return replace(self, noise=_part(self.noise, start, stop))


class EncodeResult(NamedTuple):
    """The posterior of some rows."""

    latent: Array
    """[rows, *latent shape]: mean or draw."""
    log_variance: Array | None
    codes: Array | None = None
    """uint16 [rows, latent]."""


class DecodeResult(NamedTuple):
    """Some rows of data, and the latents they came from."""

    output: Array
    """[rows, *data shape]: data or expectation."""
    latent: Array
    """[rows, *latent shape]."""


class ReconstructResult(NamedTuple):
    """Some rows of data, decoded again, and their scores, each float32 [rows]."""

    output: Array
    """[rows, *data shape]: data or expectation."""
    squared_error: Array
    log_likelihood: Array | None
    """Nats; None where the package has no likelihood graph."""
    kl: Array | None
    """Nats; None where the model has no posterior."""


def _part(addresses: RowRange, start: int, stop: int) -> RowRange:
    return RowRange(addresses.seed, addresses.first_row + start, stop - start)
