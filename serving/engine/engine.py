"""Engine: a batch of rows -> a batch of answers. Noise is drawn here, once a batch, from the rows' addresses."""

from collections.abc import Mapping, Sequence, Sized
from collections.abc import Set as AbstractSet
from math import prod
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from serving.engine.rows import (
    DataRows,
    DecodeResult,
    EncodeResult,
    LatentRows,
    PriorRows,
    ReconstructResult,
    ReconstructRows,
)
from serving.engine.session import Session
from serving.engine.splitting import refuse_non_finite, split
from serving.interrupt import Interrupt
from vaeserve.errors import NonFiniteOutput
from vaeserve.package.manifest import STANDARD, Manifest
from vaeserve.package.row_spec import Array
from vaeserve.rows.arrays import join
from vaeserve.rows.noise import Purpose, RowRange, standard_normals
from vaeserve.rows.posterior import kl_by_dimension, reparameterize


class Engine:
    """Runs one pair, its priors, and the likelihood that scores it. Takes whole batches, from any number of threads."""

    def __init__(
        self,
        manifest: Manifest,
        encoder: Session,
        decoder: Session,
        likelihood: Session | None = None,
        priors: Mapping[str, Session] = MappingProxyType({}),
    ) -> None:
        self._latent = manifest.latent
        self._has_kl = manifest.posterior == "gaussian" and manifest.model_prior == STANDARD
        self._noise_sizes = {prior.name: prior.noise_size for prior in manifest.priors if prior.name in priors}
        self._priors = priors
        self._likelihood = likelihood
        self._encoder = encoder
        self._decoder = decoder

    @property
    def rerun_rows(self) -> Mapping[str, int]:
        """Rows that were run again in float32, by what ran them."""
        return MappingProxyType({})

    def encode(
        self, batch: Sequence[DataRows], interrupt: Interrupt | None = None
    ) -> Sequence[EncodeResult | NonFiniteOutput]:
        """Returns one answer for each element of the batch, in order; an error for one with NaN or infinity in it.

        Raises:
            OutOfMemory: the batch needs more memory than there is.
            EngineFailure: the graph could not be run.
        """
        if any(rows.codes for rows in batch):
            return self._encode_codes(batch, interrupt)
        wants_moments = any(rows.log_variance or rows.noise for rows in batch)
        _, moments, latents = self._infer(batch, wants_moments, interrupt)
        log_variances = [None] * len(batch) if moments is None else split(moments.log_variance, batch)
        answers = [
            EncodeResult(latent, log_variance if rows.log_variance else None)
            for rows, latent, log_variance in zip(batch, latents, log_variances, strict=True)
        ]
        finite = refuse_non_finite("encoder", answers, batch, join(latents))
        if not any(rows.log_variance for rows in batch):
            return finite
        asked = [
            latent if answer.log_variance is None else answer.log_variance
            for latent, answer in zip(latents, answers, strict=True)
        ]
        return refuse_non_finite("encoder", finite, batch, join(asked))

    def reconstruct(
        self, batch: Sequence[ReconstructRows], interrupt: Interrupt | None = None
    ) -> Sequence[ReconstructResult | NonFiniteOutput]:
        """Returns one answer for each element of the batch, in order; an error for one that decodes to NaN or infinity.

        Raises:
            OutOfMemory: the batch needs more memory than there is.
            EngineFailure: a graph could not be run.
        """
        wants_moments = self._has_kl or any(rows.noise for rows in batch)
        data, moments, latents = self._infer(batch, wants_moments, interrupt)
        wanted = {rows.output for rows in batch}
        extra = ["parameters"] * (self._likelihood is not None)
        decoded = self._run_decoder(latents, wanted, extra, interrupt)
        outputs = {name: split(decoded[name], batch) for name in wanted}
        errors = split(_squared_error(data, decoded["expectation"]), batch)
        nats = self._score(batch, data, decoded.get("parameters"), interrupt)
        kl = self._kl(batch, moments)
        answers = [
            ReconstructResult(outputs[rows.output][i], errors[i], nats[i], kl[i]) for i, rows in enumerate(batch)
        ]
        return refuse_non_finite("decoder", answers, batch, decoded["expectation"])

    def decode(
        self, batch: Sequence[LatentRows | PriorRows], interrupt: Interrupt | None = None
    ) -> Sequence[DecodeResult | NonFiniteOutput]:
        """Returns one answer for each element of the batch, in order; an error for one that decodes to NaN or infinity.

        Raises:
            OutOfMemory: the batch needs more memory than there is.
            EngineFailure: a graph could not be run.
        """
        priors = [rows for rows in batch if isinstance(rows, PriorRows)]
        drawn = iter(self._draw(priors, interrupt) if priors else ())
        latents = [rows.latent if isinstance(rows, LatentRows) else next(drawn) for rows in batch]
        wanted = {rows.output for rows in batch}
        decoded = self._run_decoder(latents, wanted, [], interrupt)
        parts = {name: split(decoded[name], batch) for name in wanted}
        decodings = [DecodeResult(parts[rows.output][i], latents[i]) for i, rows in enumerate(batch)]
        answers = refuse_non_finite("decoder", decodings, batch, decoded["expectation"])
        return refuse_non_finite("prior", answers, batch, join(latents)) if priors and self._priors else answers

    def _encode_codes(
        self, batch: Sequence[DataRows], interrupt: Interrupt | None
    ) -> Sequence[EncodeResult | NonFiniteOutput]:
        """Returns what `encode` does where some want codes. A model that has codes has no posterior."""
        data = join([rows.data for rows in batch])
        mean, codes = self._encoder.run({"data": data}, ["mean", "codes"], interrupt)
        answers = [
            EncodeResult(latent, None, numbers if rows.codes else None)
            for rows, latent, numbers in zip(batch, split(mean, batch), split(codes, batch), strict=True)
        ]
        return refuse_non_finite("encoder", answers, batch, mean)

    def _run_decoder(
        self, latents: Sequence[Array], wanted: AbstractSet[str], extra: Sequence[str], interrupt: Interrupt | None
    ) -> dict[str, Array]:
        """Returns the wanted outputs, the extra ones, and the expectation: rounded data would hide NaN."""
        names = [*sorted(wanted | {"expectation"}), *extra]
        return dict(zip(names, self._decoder.run({"latent": join(latents)}, names, interrupt), strict=True))

    def _infer(
        self, batch: Sequence[DataRows], wants_moments: bool, interrupt: Interrupt | None
    ) -> "tuple[Array, _Moments | None, list[Array]]":
        """Returns the joined data, the joined moments if wanted, and the latent of each element: its mean or a draw."""
        data = join([rows.data for rows in batch])
        if not wants_moments:
            (mean,) = self._encoder.run({"data": data}, ["mean"], interrupt)
            return data, None, split(mean, batch)
        moments = _Moments(*self._encoder.run({"data": data}, ["mean", "log_variance"], interrupt))
        shape = moments.mean.shape[1:]
        noise = iter(self._noise(Purpose.POSTERIOR, [rows.noise for rows in batch if rows.noise], shape))
        pieces = zip(batch, split(moments.mean, batch), split(moments.log_variance, batch), strict=True)
        latents = [
            reparameterize(mean, log_variance, next(noise)) if rows.noise else mean
            for rows, mean, log_variance in pieces
        ]
        return data, moments, latents

    def _kl(self, batch: Sequence[Sized], moments: "_Moments | None") -> Sequence[Array | None]:
        """Returns the KL divergence of each element from N(0, I), if that is the model's prior."""
        if moments is None or not self._has_kl:
            return [None] * len(batch)
        return split(_sum_rows(kl_by_dimension(*moments)), batch)

    def _score(
        self, batch: Sequence[Sized], data: Array, parameters: Array | None, interrupt: Interrupt | None
    ) -> Sequence[Array | None]:
        """Returns the log-likelihood of each element."""
        if self._likelihood is None or parameters is None:
            return [None] * len(batch)
        (nats,) = self._likelihood.run({"data": data, "parameters": parameters}, ["log_likelihood"], interrupt)
        return split(nats, batch)

    def _draw(self, batch: Sequence[PriorRows], interrupt: Interrupt | None) -> list[Array]:
        """Returns the latents of each element; what is drawn from one prior is drawn in one go."""
        drawn = {
            prior: iter(self._draw_from(prior, [rows for rows in batch if rows.prior == prior], interrupt))
            for prior in dict.fromkeys(rows.prior for rows in batch)
        }
        return [next(drawn[rows.prior]) for rows in batch]

    def _draw_from(self, prior: str, batch: Sequence[PriorRows], interrupt: Interrupt | None) -> list[Array]:
        """Returns the latents of each element: its noise times its temperature, or what the prior's graph answers."""
        noise_size = self._noise_sizes.get(prior)
        shape = self._latent.at(batch[0].size).shape if noise_size is None else (noise_size,)
        noise = self._noise(Purpose.PRIOR, [rows.noise for rows in batch], shape)
        temperatures = [np.float32(rows.temperature) for rows in batch]
        if prior not in self._priors:
            return [part * factor for part, factor in zip(noise, temperatures, strict=True)]
        feeds = {"noise": join(noise), "temperature": np.repeat(temperatures, [len(rows) for rows in batch])}
        return split(self._priors[prior].run(feeds, ["latent"], interrupt)[0], batch)

    def _noise(self, purpose: Purpose, ranges: Sequence[RowRange], shape: Sequence[int]) -> list[Array]:
        """Returns the noise of each range, [rows, *shape], drawn in one go."""
        if not ranges:
            return []
        joined = standard_normals(purpose, ranges, prod(shape)).reshape(-1, *shape)
        return split(joined, [range(addresses.rows) for addresses in ranges])


class _Moments(NamedTuple):
    mean: Array
    log_variance: Array


def _squared_error(data: Array, expectation: Array) -> Array:
    """Returns the squared error of each row; a value that is missing, NaN, counts nothing."""
    wide = data.astype(np.float64)
    return _sum_rows(np.where(np.isnan(wide), 0.0, wide - expectation) ** 2)


def _sum_rows(values: npt.NDArray[np.float64]) -> Array:
    with np.errstate(over="ignore"):  # an extreme row scores infinity
        summed: npt.NDArray[np.float64] = values.reshape(len(values), -1).sum(1)
        return summed.astype(np.float32)
