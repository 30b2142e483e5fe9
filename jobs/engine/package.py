"""A package's graphs under ONNX Runtime, in this process, through the service's own engine: the service's bits."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from jobs.engine.answers import (
    CODES,
    LATENT,
    LOG_VARIANCE,
    NOT_FINITE,
    OUTPUT,
    Answers,
    Work,
    answer_columns,
    blank_columns,
    joined,
    scores_of,
)
from jobs.settings import JobSettings, ModelFacts
from serving.engine.providers import ProviderChoice
from serving.engine.rows import (
    DataRows,
    DecodeResult,
    EncodeResult,
    LatentRows,
    OutputKind,
    PriorRows,
    ReconstructResult,
    ReconstructRows,
)
from serving.models.loading import ProvedModel, load
from serving.settings import settings_of
from vaeserve.errors import NonFiniteOutput
from vaeserve.package.row_spec import Array
from vaeserve.package.sizes import PictureSize
from vaeserve.rows.codes import latents_of
from vaeserve.rows.noise import RowRange
from vaeserve.slices import Slices, rows_that_fit

Result = EncodeResult | DecodeResult | ReconstructResult


class PackageComputer:
    """Computes with a package that was proved when it was opened.

    Args:
        opened: the package.
        settings: the job's.
    """

    def __init__(self, opened: "OpenPackage", settings: JobSettings) -> None:
        self._engine, self._model, self._settings = opened.proved.engine, opened.facts, settings
        self._output: OutputKind = "expectation" if settings.output == "expectation" else "data"
        self._slices: dict[PictureSize | None, Slices] = {}
        self._batch_rows = opened.proved.execution.batch_rows

    def answers(self, work: Iterable[Work]) -> Iterator[Answers]:
        """Yields the answers to each piece of work, in batches that begin with the piece.

        Raises:
            OutOfMemory: there is not enough memory for a single row.
            EngineFailure: a graph could not be run.
        """
        for piece in work:
            slices = self._slices.setdefault(piece.size, Slices(self._rows_at(piece.size)))
            yield joined([*slices.run(partial(self._compute_slice, piece), piece.row_count)])

    def close(self) -> None:
        """Nothing is open."""

    def _rows_at(self, size: PictureSize | None) -> int:
        """Returns how many rows of a size run together."""
        return rows_that_fit(self._batch_rows, self._model.data.weight(size))

    def _compute_slice(self, piece: Work, part: slice) -> Answers:
        return self._compute(piece.part(part.start, part.stop))

    def _compute(self, work: Work) -> Answers:
        """Runs rows as one call. If an answer is not finite each row runs as a call of its own, in the same batch."""
        (result,) = self._run([self._call(work)])
        if not isinstance(result, NonFiniteOutput):
            return Answers(_named(result), {})
        results = self._run([self._call(work.part(row, row + 1)) for row in range(work.row_count)])
        columns = blank_columns(answer_columns(self._settings, self._model.at(work.size)), work.row_count)
        errors = {}
        for row, result in enumerate(results):
            if isinstance(result, NonFiniteOutput):
                errors[row] = NOT_FINITE
            else:
                for name, values in _named(result).items():
                    columns[name][row] = values[0]
        return Answers(columns, errors)

    def _run(self, calls: Sequence[Any]) -> Sequence[Result | NonFiniteOutput]:
        engine, verb = self._engine, self._settings.verb
        if verb == "encode":
            return engine.encode(calls)
        return engine.reconstruct(calls) if verb == "reconstruct" else engine.decode(calls)

    def _call(self, work: Work) -> "DataRows | LatentRows | PriorRows":
        settings, size = self._settings, work.size
        addresses = RowRange(settings.seed or 0, work.first_row, work.row_count)
        noise = addresses if settings.is_drawn else None
        if work.rows is None:
            return PriorRows(addresses, settings.temperature or 1.0, self._output, prior=settings.prior, size=size)
        if settings.verb == "encode":
            return DataRows(work.rows, settings.output == "moments", noise, size, settings.output == CODES)
        if settings.verb == "reconstruct":
            return ReconstructRows(work.rows, noise=noise, size=size, output="expectation")
        if settings.codes and self._model.codes is not None:
            return LatentRows(latents_of(work.rows, self._model.codes.levels), self._output)
        return LatentRows(work.rows, self._output, size)


def _named(result: Result) -> dict[str, Array]:
    if isinstance(result, EncodeResult):
        if result.codes is not None:
            return {CODES: result.codes}
        named = {LATENT: result.latent, LOG_VARIANCE: result.log_variance}
        return {name: values for name, values in named.items() if values is not None}
    if isinstance(result, ReconstructResult):
        return scores_of(result.log_likelihood, result.kl, result.squared_error)
    return {OUTPUT: result.output}


class OpenPackage(NamedTuple):
    """A package that was proved, and what a plan notes of it."""

    proved: ProvedModel
    facts: ModelFacts


def open_package(package: Path, provider: ProviderChoice, threads: int, batch_rows: int) -> OpenPackage:
    """Opens a package and proves it.

    Args:
        package: its directory.
        provider: what may run its graphs.
        threads: of one batch.
        batch_rows: maximum rows in one batch; 0: measured.

    Raises:
        PackageError: it is damaged, or its graphs do not answer as the trainer's did.
        StartupError: ONNX Runtime is not installed as it should be, or the provider is not available.
    """
    proved = load(package, settings_of(package=package, provider=provider, threads=threads, batch_rows=batch_rows))
    return OpenPackage(proved, _facts(proved))


def _facts(proved: ProvedModel) -> ModelFacts:
    manifest = proved.manifest
    return ModelFacts(
        name=manifest.name,
        version=manifest.version,
        fingerprint=manifest.fingerprint,
        data=manifest.data,
        latent_shape=manifest.latent_shape,
        posterior=manifest.posterior,
        has_likelihood=manifest.graphs.likelihood is not None,
        priors=tuple(prior.name for prior in manifest.priors),
        default_prior=manifest.default_prior,
        provider=proved.provider,
        is_exact=proved.exactness.is_exact,
        scaling=manifest.scaling,
        codes=manifest.codes,
    )
