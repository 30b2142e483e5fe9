"""A running service: the rows go over its stream as bulk work, and a restart of the service is waited for."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

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
from jobs.engine.pieces import Pieces
from jobs.settings import JobSettings, ModelFacts
from vaeserve.client.blocking import Client
from vaeserve.client.description import Model
from vaeserve.client.results import Decoded, Encoded, Reconstructed, Sampled
from vaeserve.client.stream_messages import MESSAGE_BYTES
from vaeserve.errors import CallError, PreconditionFailed
from vaeserve.package.row_spec import Array
from vaeserve.package.sizes import PictureSize
from vaeserve.slices import rows_within

ServiceResult = Encoded | Decoded | Reconstructed | Sampled

_PAUSE_SECONDS = 1.0
_MAXIMUM_SLICE_ROWS = 8192
_CALLS_AHEAD = 4  # of a service that draws, which has no stream of several calls


class ServiceComputer:
    """Computes on a running service.

    Args:
        client: of the service; closed with this.
        facts: the pair that must answer.
        settings: the job's.
        patience_seconds: how long an absent service is waited for.
    """

    def __init__(self, client: Client, facts: ModelFacts, settings: JobSettings, patience_seconds: float) -> None:
        self._client, self._model, self._settings = client, facts, settings
        self._patience_seconds = patience_seconds
        self._route: dict[str, Any] = {"model": facts.name, "version": facts.version}

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    def answers(self, work: Iterable[Work]) -> Iterator[Answers]:
        """Yields the answers to each piece of work. Slices of several pieces are on their way at once.

        Raises:
            CallError: the service refuses the rows, or did not answer in time.
            PreconditionFailed: it serves another pair.
        """
        pieces = Pieces(work, self._slice_rows, counts_on=self._settings.is_drawn)
        last_answer = time.monotonic()
        while (position := pieces.position()) is not None:
            try:
                for result in self._stream(position, pieces.slices()):
                    last_answer = time.monotonic()
                    yield from pieces.answered(Answers(self._named(result), {}))
                continue
            except CallError as exc:
                is_absent = exc.code == "UNAVAILABLE" and time.monotonic() < last_answer + self._patience_seconds
                if not is_absent and exc.reason != "NON_FINITE_OUTPUT":
                    raise
            if is_absent:
                time.sleep(_PAUSE_SECONDS)
            elif (failed := pieces.position()) is not None:
                rows = min(self._slice_rows(failed.size), failed.row_count)
                yield from pieces.answered(self._without_bad_rows(failed.part(0, rows)))

    def _slice_rows(self, size: PictureSize | None) -> int:
        """Returns how many rows of a size a message holds."""
        return rows_within(_widest(self._settings, self._model.at(size)), _MAXIMUM_SLICE_ROWS, MESSAGE_BYTES)

    def _stream(self, first: Work, slices: Iterator[Work]) -> Iterator[ServiceResult]:
        """Yields the results of the slices, over one stream."""
        settings, client = self._settings, self._client
        if first.rows is None:
            return self._ahead(slices)
        rows: Iterator[Any] = (piece.rows for piece in slices)
        options: dict[str, Any] = self._options(first)
        if settings.verb == "encode":
            return client.encode_stream(rows, **options)
        if settings.verb == "reconstruct":
            return client.reconstruct_stream(rows, **options)
        return client.decode_stream(rows, **options)

    def _ahead(self, slices: Iterator[Work]) -> Iterator[ServiceResult]:
        """Yields the results of calls, of which some are on their way at once."""
        with ThreadPoolExecutor(_CALLS_AHEAD) as threads:
            calls: deque[Future[ServiceResult]] = deque()
            for piece in slices:
                calls.append(threads.submit(self._one, piece))
                if len(calls) == _CALLS_AHEAD:
                    yield calls.popleft().result()
            while calls:
                yield calls.popleft().result()

    def _one(self, piece: Work) -> ServiceResult:
        """Returns the result of one call."""
        verb = self._settings.verb
        call: Callable[..., ServiceResult] = getattr(self._client, verb)
        return call(piece.row_count if piece.rows is None else piece.rows, **self._options(piece))

    def _options(self, first: Work) -> dict[str, Any]:
        settings = self._settings
        options = {"latent" if settings.verb == "reconstruct" else "output": settings.output, **self._route}
        if settings.is_drawn:
            options |= {"seed": settings.seed, "first_row": first.first_row}
        if settings.codes:
            options |= {"codes": True}
        if settings.verb == "sample":
            options |= {"temperature": settings.temperature, "prior": settings.prior}
        return options

    def _without_bad_rows(self, piece: Work) -> Answers:
        """Returns the answers to rows of which some have none, halving until those are alone."""
        try:
            return Answers(self._named(self._one(piece)), {})
        except CallError as exc:
            if exc.reason != "NON_FINITE_OUTPUT":
                raise
        if piece.row_count == 1:
            columns = answer_columns(self._settings, self._model.at(piece.size))
            return Answers(blank_columns(columns, 1), {0: NOT_FINITE})
        middle = piece.row_count // 2
        halves = piece.part(0, middle), piece.part(middle, piece.row_count)
        return joined([self._without_bad_rows(half) for half in halves])

    def _named(self, result: ServiceResult) -> dict[str, Array]:
        if result.fingerprint != self._model.fingerprint:
            raise PreconditionFailed(
                "FINGERPRINT_MISMATCH",
                f"model {self._model.name} is pair {result.fingerprint[:12]}... now, this job began with "
                f"{self._model.fingerprint[:12]}...: serve that one, or begin another job",
            )
        if isinstance(result, Encoded) and result.codes is not None:
            return {CODES: result.codes}
        if isinstance(result, Encoded):
            named = {LATENT: result.latent, LOG_VARIANCE: result.log_variance}
            return {name: np.asarray(values) for name, values in named.items() if values is not None}
        if isinstance(result, Reconstructed):
            return scores_of(result.log_likelihood, result.kl, result.squared_error)
        return {OUTPUT: result.output}


def _widest(settings: JobSettings, facts: ModelFacts) -> int:
    """Returns how many bytes a row takes in the larger of a request and its reply."""
    data = facts.data.bytes_of(1, "float32" if settings.output == "expectation" else None)
    return max(data, 2 * facts.latent.bytes_of(1) if settings.output == "moments" else facts.latent.bytes_of(1))


def facts_of(model: Model, *, has_likelihood: bool) -> ModelFacts:
    """Returns what a plan notes of a served model."""
    return ModelFacts(
        name=model.name,
        version=model.version,
        fingerprint=model.fingerprint,
        data=model.data,
        latent_shape=model.latent_shape,
        posterior=model.posterior,
        has_likelihood=has_likelihood,
        priors=tuple(prior.name for prior in model.priors),
        default_prior=model.default_prior,
        provider=model.provider,
        is_exact=model.exactness.is_exact if model.exactness else None,
        scaling=model.scaling,
        codes=model.codes,
    )
