"""A pair as it will be served, so that callers get what is measured."""

from collections.abc import Iterator, Mapping
from math import log, pi
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from training.evaluate.rows import Array32, Array64, DataArray, DecodedRows, EncodedRows
from training.export.footprint import row_bytes
from training.export.onnx_runner import batches, open_session, run_in_batches
from training.export.probes import TensorArrays
from vaeserve.errors import TrainingError
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.directory import ModelPackage
from vaeserve.package.manifest import STANDARD
from vaeserve.rows.noise import Purpose, RowRange, standard_normals
from vaeserve.slices import Slices, rows_within

_MODEL_DENSITY = "density of the model's prior"
BATCH_ROWS = 256  # maximum of one call of a graph: enough to keep a core busy, few enough for its caches


class PriorGraph(NamedTuple):
    """A prior that is a graph: noise [batch, noise_size], temperature [batch] -> latent."""

    content: bytes
    noise_size: int
    density: bytes | None = None
    """Its density as a graph: latent -> log_prior [batch], in nats; None if there is none."""


class ServedPair:
    """A pair as it will be served: its ONNX graphs under ONNX Runtime on the CPU.

    Args:
        graphs: ONNX by name: encoder, decoder and, where rows are to be scored, likelihood.
        data: what a row of data is.
        latent_size: values in a row's latent.
        posterior: whether the encoder answers a log_variance.
        family: of the likelihood.
        priors: the priors that are graphs, by name; `standard`, N(0, I), is there without one.
        model_prior: name of the prior that is part of the model: p(z) in the ELBO and in -log p(x). It has a density.
        levels: number of levels of each value of a latent; empty unless latents are codes.
        threads: CPU threads of one operation.

    Raises:
        TrainingError: ONNX Runtime does not take a graph.
        StartupError: there is not exactly one ONNX Runtime.
    """

    def __init__(
        self,
        graphs: Mapping[str, bytes],
        data: DataSpec,
        latent_size: int,
        posterior: Literal["gaussian", "none"],
        *,
        family: str | None = None,
        priors: Mapping[str, PriorGraph] | None = None,
        model_prior: str = STANDARD,
        levels: tuple[int, ...] = (),
        threads: int = 1,
    ) -> None:
        self.data = data
        self.latent_size = latent_size
        self.posterior = posterior
        self.family = family
        self.model_prior = model_prior
        self.levels = levels
        every = {**graphs, **{f"prior.{name}": prior.content for name, prior in (priors or {}).items()}}
        if model_prior != STANDARD:
            every[_MODEL_DENSITY] = _density_of(model_prior, priors or {})
        self._graphs = {name: open_session(name, content, threads) for name, content in every.items()}
        self._slices = {name: Slices(rows_within(row_bytes(content), BATCH_ROWS)) for name, content in every.items()}
        self._latent_shape = tuple(self._graphs["decoder"].get_inputs()[0].shape[1:])
        self._noise_sizes = {name: prior.noise_size for name, prior in (priors or {}).items()}

    @classmethod
    def from_package(cls, package: ModelPackage, threads: int = 1) -> Self:
        """Returns a package's pair, with its priors.

        Raises:
            PackageError: a file is missing or altered.
            TrainingError: ONNX Runtime does not take a graph, or rows have many sizes.
        """
        manifest = package.manifest
        if manifest.data.sizes is not None:
            raise TrainingError(f"{package.directory}: its pictures have any size; pairs of one size can be evaluated")
        graphs = {name: package.read(graph) for name, graph in manifest.graphs.by_name.items()}
        priors = {
            prior.name: PriorGraph(
                package.read(prior.graph),
                prior.noise_size,
                None if prior.density is None else package.read(prior.density),
            )
            for prior in manifest.priors
            if prior.graph is not None and prior.noise_size is not None
        }
        return cls(
            graphs,
            manifest.data,
            manifest.latent.value_count,
            manifest.posterior,
            family=manifest.likelihood.family,
            priors=priors,
            model_prior=manifest.model_prior or STANDARD,
            levels=manifest.codes.levels if manifest.codes else (),
            threads=threads,
        )

    @property
    def priors(self) -> tuple[str, ...]:
        """Names of the distributions that latents can be drawn from, `standard` first."""
        return (STANDARD, *self._noise_sizes)

    @property
    def scores(self) -> bool:
        """Whether there is a likelihood to score rows with."""
        return "likelihood" in self._graphs

    def encode(self, rows: DataArray) -> EncodedRows:
        """Returns the posterior of data [rows, *row_shape]."""
        names = ["mean", "log_variance"] if self.posterior == "gaussian" else ["mean"]
        arrays = [array.reshape(len(rows), self.latent_size) for array in self._run("encoder", names, {"data": rows})]
        return EncodedRows(arrays[0], arrays[1] if len(arrays) > 1 else None)

    def decode(self, latent: Array32) -> DecodedRows:
        """Returns what latents [rows, latent] decode to."""
        return DecodedRows(*self._run("decoder", list(DecodedRows._fields), {"latent": self._shaped(latent)}))

    def made(self, latent: Array32) -> DataArray:
        """Returns the data [rows, *row_shape] that latents [rows, latent] decode to, alone."""
        data: DataArray
        (data,) = self._run("decoder", ["data"], {"latent": self._shaped(latent)})
        return data

    def parts(self, rows: int, copies: int = 1) -> Iterator[slice]:
        """Yields slices that cover `rows` rows in order, each small enough for memory.

        Args:
            rows: in all.
            copies: how many float64 copies are made of each row of data.
        """
        return batches(rows, rows_within(8 * copies * self.data.value_count, max(rows, 1)))

    def expectation(self, latent: Array32) -> Array32:
        """Returns the expectation [rows, *row_shape] of latents [rows, latent] alone."""
        expectation: Array32
        (expectation,) = self._run("decoder", ["expectation"], {"latent": self._shaped(latent)})
        return expectation

    def log_likelihood(self, rows: DataArray, parameters: Array32) -> Array64:
        """Returns log p(row | parameters) [rows], in nats."""
        nats: Array32
        (nats,) = self._run("likelihood", ["log_likelihood"], {"data": rows, "parameters": parameters})
        return nats.astype(np.float64)

    def score(self, rows: DataArray, latent: Array32) -> Array64:
        """Returns log p(row | latent) [rows], in nats. No more than a batch of parameters is ever held."""

        def score_part(part: slice) -> Array64:
            decoded = self._run("decoder", ["parameters"], {"latent": self._shaped(latent[part])})
            return self.log_likelihood(rows[part], *decoded)

        return np.concatenate(list(self._slices["decoder"].run(score_part, len(rows))))

    def log_prior(self, latent: Array32) -> Array64:
        """Returns log p(latent) [rows] under the model's prior, in nats."""
        if self.model_prior == STANDARD:
            nats: Array64 = -0.5 * (latent.astype(np.float64) ** 2 + log(2 * pi)).sum(1)
            return nats
        log_prior: Array32
        (log_prior,) = self._run(_MODEL_DENSITY, ["log_prior"], {"latent": self._shaped(latent)})
        return log_prior.astype(np.float64)

    def draw_prior(self, name: str, seed: int, count: int) -> Array32:
        """Returns latents [count, latent] from a prior, the same bits that the server's Sample draws from row 0 on.

        Raises:
            TrainingError: there is no such prior; names those that exist.
        """
        if name not in self.priors:
            raise TrainingError(f"prior {name!r}: there is no such prior; known are {', '.join(self.priors)}")
        noise_size = self._noise_sizes.get(name, self.latent_size)
        noise = standard_normals(Purpose.PRIOR, [RowRange(seed, 0, count)], noise_size)
        if name == STANDARD:
            return noise
        inputs: TensorArrays = {"noise": noise, "temperature": np.ones(count, np.float32)}
        latent: Array32
        (latent,) = self._run(f"prior.{name}", ["latent"], inputs)
        return latent.reshape(count, self.latent_size)

    def _shaped(self, latent: Array32) -> Array32:
        return latent.reshape(len(latent), *self._latent_shape)

    def _run(self, graph: str, outputs: list[str], inputs: TensorArrays) -> list[Any]:
        """Returns a graph's outputs for all rows, in order."""
        try:
            return list(run_in_batches(self._graphs[graph], inputs, self._slices[graph], outputs).values())
        except TrainingError as exc:
            raise TrainingError(f"{graph}: {exc}") from exc


def _density_of(name: str, priors: Mapping[str, PriorGraph]) -> bytes:
    density = priors[name].density if name in priors else None
    if density is None:
        raise TrainingError(f"prior {name!r}: it is the model's prior, but its density is not there")
    return density
