"""Engine: a batch of rows -> a batch of answers. Noise is drawn here, once a batch, from the rows' addresses."""

from collections.abc import Sequence, Sized
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from serving.session import Session
from vae.manifest import Manifest
from vae.noise import Purpose, RowRange, standard_normals

Array = npt.NDArray[np.number]
Output = Literal["data", "expectation"]


@dataclass(frozen=True, slots=True)
class DataRows:
    """Rows to encode."""

    data: Array
    """[rows, *data shape]."""
    log_variance: bool = False
    """Whether the log-variance is answered too."""
    noise: RowRange | None = None
    """Addresses of the rows' noise where a draw is wanted instead of the mean."""

    def __len__(self) -> int:
        return len(self.data)

    def part(self, start: int, stop: int) -> Self:
        """Returns rows start to stop - 1."""
        noise = self.noise and _part(self.noise, start, stop)
        return replace(self, data=self.data[start:stop], noise=noise)


@dataclass(frozen=True, slots=True)
class LatentRows:
    """Latents to decode."""

    latent: Array
    """[rows, *latent shape]."""
    output: Output

    def __len__(self) -> int:
        return len(self.latent)

    def part(self, start: int, stop: int) -> Self:
        """Returns rows start to stop - 1."""
        return replace(self, latent=self.latent[start:stop])


@dataclass(frozen=True, slots=True)
class PriorRows:
    """Rows to draw from the standard prior and decode."""

    noise: RowRange
    temperature: float
    output: Output

    def __len__(self) -> int:
        return self.noise.rows

    def part(self, start: int, stop: int) -> Self:
        """Returns rows start to stop - 1."""
        return replace(self, noise=_part(self.noise, start, stop))


class Encoded(NamedTuple):
    """The posterior of some rows."""

    latent: Array
    """[rows, *latent shape]: mean or draw."""
    log_variance: Array | None


class Decoded(NamedTuple):
    """Some rows of data, and the latents they came from."""

    output: Array
    """[rows, *data shape]: data or expectation."""
    latent: Array
    """[rows, *latent shape]."""


class Engine:
    """Runs one pair. Its methods take whole batches and are called by one thread at a time."""

    def __init__(self, manifest: Manifest, encoder: Session, decoder: Session) -> None:
        self._latent_shape = manifest.latent_shape
        self._latent_size = manifest.latent_size
        self._encoder = encoder
        self._decoder = decoder

    def encode(self, batch: Sequence[DataRows]) -> list[Encoded]:
        """Returns one answer for each element of the batch, in order.

        Raises:
            EngineFailure: the graph could not be run.
        """
        data = _join([rows.data for rows in batch])
        if not any(rows.log_variance or rows.noise for rows in batch):
            (mean,) = self._encoder.run({"data": data}, ["mean"])
            return [Encoded(part, None) for part in _split(mean, batch)]
        mean, log_variance = self._encoder.run({"data": data}, ["mean", "log_variance"])
        noise = iter(self._noise(Purpose.POSTERIOR, [rows.noise for rows in batch if rows.noise]))
        moments = zip(batch, _split(mean, batch), _split(log_variance, batch), strict=True)
        return [
            Encoded(_reparameterize(mean, log_variance, next(noise)), None)
            if rows.noise
            else Encoded(mean, log_variance if rows.log_variance else None)
            for rows, mean, log_variance in moments
        ]

    def decode(self, batch: Sequence[LatentRows | PriorRows]) -> list[Decoded]:
        """Returns one answer for each element of the batch, in order.

        Raises:
            EngineFailure: the graph could not be run.
        """
        drawn = iter(self._draw([rows for rows in batch if isinstance(rows, PriorRows)]))
        latents = [rows.latent if isinstance(rows, LatentRows) else next(drawn) for rows in batch]
        wanted = sorted({rows.output for rows in batch})
        results = self._decoder.run({"latent": _join(latents)}, wanted)
        parts = {name: _split(result, batch) for name, result in zip(wanted, results, strict=True)}
        return [Decoded(parts[rows.output][i], latents[i]) for i, rows in enumerate(batch)]

    def _draw(self, batch: Sequence[PriorRows]) -> list[Array]:
        """Returns the latents of each element: its noise times its temperature."""
        noise = self._noise(Purpose.PRIOR, [rows.noise for rows in batch])
        return [part * np.float32(rows.temperature) for part, rows in zip(noise, batch, strict=True)]

    def _noise(self, purpose: Purpose, ranges: Sequence[RowRange]) -> list[Array]:
        """Returns the noise of each range, drawn in one go."""
        if not ranges:
            return []
        joined = standard_normals(purpose, ranges, self._latent_size).reshape(-1, *self._latent_shape)
        return _split(joined, [range(addresses.rows) for addresses in ranges])


def _reparameterize(mean: Array, log_variance: Array, noise: Array) -> Array:
    """Returns mean + sqrt(variance) noise; in float64, so that its bits do not follow the last bit of exp."""
    return (mean + np.exp(0.5 * log_variance.astype(np.float64)) * noise).astype(np.float32)


def _part(addresses: RowRange, start: int, stop: int) -> RowRange:
    return RowRange(addresses.seed, addresses.first_row + start, stop - start)


def _join(parts: Sequence[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _split(joined: Array, batch: Sequence[Sized]) -> list[Array]:
    """Cuts a result into the rows of each element."""
    ends = list(accumulate(len(rows) for rows in batch))
    if ends[-1] != len(joined):
        raise AssertionError(f"the graph answered {len(joined)} rows for {ends[-1]}. This is a bug.")
    return [joined[start:end] for start, end in pairwise([0, *ends])]
