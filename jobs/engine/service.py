"""A running service: the rows go over its stream as bulk work, and a restart of the service is waited for."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from jobs.engine.answers import (
    LATENT,
    LOG_VARIANCE,
    NOT_FINITE,
    OUTPUT,
    Answers,
    Work,
    answer_columns,
    blank_columns,
    joined,
    rows_of,
    scores_of,
)
from jobs.settings import JobSettings, ModelFacts
from vaeserve.client.blocking import Client
from vaeserve.client.description import Model
from vaeserve.client.results import Decoded, Encoded, Reconstructed, Sampled
from vaeserve.client.stream_messages import MESSAGE_BYTES
from vaeserve.errors import CallError, PreconditionFailed
from vaeserve.package.row_spec import Array
from vaeserve.slices import rows_within

ServiceResult = Encoded | Decoded | Reconstructed | Sampled

_PAUSE_SECONDS = 1.0
_MAXIMUM_SLICE_ROWS = 8192


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
        widest = max(facts.data.bytes_of(1, "float32"), facts.latent.bytes_of(1))
        self._slice_rows = rows_within(widest, _MAXIMUM_SLICE_ROWS, MESSAGE_BYTES)

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    def answers(self, work: Iterable[Work]) -> Iterator[Answers]:
        """Yields the answers to each piece of work. Slices of several pieces are on their way at once.

        Raises:
            CallError: the service refuses the rows, or did not answer in time.
            PreconditionFailed: it serves another pair.
        """
        pieces = _Pieces(work, self._slice_rows, counts_on=self._settings.is_drawn)
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
                yield from pieces.answered(self._without_bad_rows(failed.part(0, min(self._slice_rows, failed.size))))

    def _stream(self, first: Work, slices: Iterator[Work]) -> Iterator[ServiceResult]:
        """Yields the results of the slices, over one stream."""
        settings, client = self._settings, self._client
        if first.rows is None:
            return (self._one(piece) for piece in slices)
        rows: Iterator[Any] = (piece.rows for piece in slices)
        options: dict[str, Any] = self._options(first)
        if settings.verb == "encode":
            return client.encode_stream(rows, **options)
        if settings.verb == "reconstruct":
            return client.reconstruct_stream(rows, **options)
        return client.decode_stream(rows, **options)

    def _one(self, piece: Work) -> ServiceResult:
        """Returns the result of one call."""
        verb = self._settings.verb
        call: Callable[..., ServiceResult] = getattr(self._client, verb)
        return call(piece.size if piece.rows is None else piece.rows, **self._options(piece))

    def _options(self, first: Work) -> dict[str, Any]:
        settings = self._settings
        options = {"latent" if settings.verb == "reconstruct" else "output": settings.output, **self._route}
        if settings.is_drawn:
            options |= {"seed": settings.seed, "first_row": first.first_row}
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
        if piece.size == 1:
            return Answers(blank_columns(answer_columns(self._settings, self._model), 1), {0: NOT_FINITE})
        middle = piece.size // 2
        halves = piece.part(0, middle), piece.part(middle, piece.size)
        return joined([self._without_bad_rows(half) for half in halves])

    def _named(self, result: ServiceResult) -> dict[str, Array]:
        if result.fingerprint != self._model.fingerprint:
            raise PreconditionFailed(
                "FINGERPRINT_MISMATCH",
                f"model {self._model.name} is pair {result.fingerprint[:12]}... now, this job began with "
                f"{self._model.fingerprint[:12]}...: serve that one, or begin another job",
            )
        if isinstance(result, Encoded):
            named = {LATENT: result.latent, LOG_VARIANCE: result.log_variance}
            return {name: np.asarray(values) for name, values in named.items() if values is not None}
        if isinstance(result, Reconstructed):
            return scores_of(result.log_likelihood, result.kl, result.squared_error)
        return {OUTPUT: result.output}


class _Pieces:
    """Work that is on its way, and how far it is answered.

    Args:
        work: all of it.
        slice_rows: rows of a message.
        counts_on: whether a stream numbers its rows, so that it can hold only work whose addresses follow each other.
    """

    def __init__(self, work: Iterable[Work], slice_rows: int, *, counts_on: bool) -> None:
        self._work, self._slice_rows, self._counts_on = iter(work), slice_rows, counts_on
        self._waiting: deque[Work] = deque()  # without an answer, or with some
        self._parts: list[Answers] = []  # of the first that waits
        self._done = 0  # rows of the first that waits

    def position(self) -> Work | None:
        """Returns what is left of the first piece without all answers; None: everything is answered."""
        if not self._waiting and (piece := next(self._work, None)) is not None:
            self._waiting.append(piece)
        return self._waiting[0].part(self._done, self._waiting[0].size) if self._waiting else None

    def slices(self) -> Iterator[Work]:
        """Yields what one stream can hold of all that is not answered now or still to be read, a slice at a time."""
        end = None
        for piece in self._unanswered():
            if self._counts_on and end not in (None, piece.first_row):
                return
            end = piece.first_row + piece.size
            for start in range(0, piece.size, self._slice_rows):
                yield piece.part(start, min(start + self._slice_rows, piece.size))

    def answered(self, answers: Answers) -> Iterator[Answers]:
        """Takes the answers to the next rows, which lie in one piece; yields those of the piece if it is complete."""
        self._parts.append(answers)
        self._done += rows_of(answers)
        if self._done == self._waiting[0].size:
            parts, self._parts, self._done = self._parts, [], 0
            self._waiting.popleft()
            yield joined(parts)

    def _unanswered(self) -> Iterator[Work]:
        done = self._done
        for piece in [*self._waiting]:
            yield piece.part(done, piece.size)
            done = 0
        for piece in self._work:
            self._waiting.append(piece)
            yield piece


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
    )
