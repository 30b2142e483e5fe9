"""The engine of a pair in half precision: a row that comes out as NaN or infinity is run again in float32."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from serving.engine.engine import Engine
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
from serving.interrupt import Interrupt
from vaeserve.errors import NonFiniteOutput, OutOfMemory, PackageError, StartupError
from vaeserve.package.manifest import Manifest

OpenPair = Callable[[], tuple[Session, Session]]
"""Opens an encoder and a decoder."""

_log = logging.getLogger(__name__)

_PAUSE_SECONDS = 30.0  # between two tries to open the float32 graphs: reading them may take a second


class HalfEngine(Engine):
    """Runs a pair in half precision, and the same pair in float32 for rows that overflow.

    Such a row runs alone, so that its bits do not depend on its neighbours. The float32 graphs are opened with the
    first of them. If that fails, or memory is short, the row is answered with the error it would have had anyway, and
    so are others for a while.

    Args:
        manifest: of the package.
        encoder: in half precision.
        decoder: in half precision.
        likelihood: scores rows.
        priors: by name.
        open_float32: opens the pair in float32.
    """

    def __init__(
        self,
        manifest: Manifest,
        encoder: Session,
        decoder: Session,
        likelihood: Session | None = None,
        priors: Mapping[str, Session] = MappingProxyType({}),
        *,
        open_float32: OpenPair,
    ) -> None:
        super().__init__(manifest, encoder, decoder, likelihood, priors)

        def open_engine() -> Engine:
            return Engine(manifest, *open_float32(), likelihood, priors)

        self._open_engine = open_engine
        self._float32: Engine | None = None
        self._next_try = 0.0
        self._lock = Lock()
        self._rerun_rows: Counter[str] = Counter()

    @property
    def rerun_rows(self) -> Mapping[str, int]:
        """Rows that were run again in float32, by what ran them: encoder, decoder or reconstructor."""
        return self._rerun_rows

    def encode(
        self, batch: Sequence[DataRows], interrupt: Interrupt | None = None
    ) -> Sequence[EncodeResult | NonFiniteOutput]:
        """Returns what `Engine.encode` returns."""
        return self._mended(_Attempt("encoder", super().encode, Engine.encode, interrupt), batch)

    def reconstruct(
        self, batch: Sequence[ReconstructRows], interrupt: Interrupt | None = None
    ) -> Sequence[ReconstructResult | NonFiniteOutput]:
        """Returns what `Engine.reconstruct` returns."""
        return self._mended(_Attempt("reconstructor", super().reconstruct, Engine.reconstruct, interrupt), batch)

    def decode(
        self, batch: Sequence[LatentRows | PriorRows], interrupt: Interrupt | None = None
    ) -> Sequence[DecodeResult | NonFiniteOutput]:
        """Returns what `Engine.decode` returns."""
        return self._mended(_Attempt("decoder", super().decode, Engine.decode, interrupt), batch)

    def _mended(self, verb: "_Attempt", batch: Sequence[Any]) -> Sequence[Any]:
        answers = verb.half(batch, verb.interrupt)
        if not any(isinstance(answer, NonFiniteOutput) for answer in answers):
            return answers
        pairs = zip(batch, answers, strict=True)
        return [self._rerun(verb, rows, it) if isinstance(it, NonFiniteOutput) else it for rows, it in pairs]

    def _rerun(self, verb: "_Attempt", rows: Any, error: NonFiniteOutput) -> Any:  # noqa: ANN401, any verb's
        """Returns the answer to one element: rows that failed come from float32, the others from half precision."""
        answers: list[Any] = []
        failed: list[int] = []
        for start, stop in _runs(len(rows), error.rows):
            part = rows.part(start, stop)
            (answer,) = self._in_float32(verb, part) if start in error.rows else self._mended(verb, [part])
            if isinstance(answer, NonFiniteOutput):
                failed += answer.after(start).rows
            answers.append(answer)
        return NonFiniteOutput(error.graph, failed) if failed else _joined(answers)

    def _in_float32(self, verb: "_Attempt", row: Any) -> Sequence[Any]:  # noqa: ANN401, any verb's
        engine = self._opened()
        if engine is None:
            return [NonFiniteOutput(verb.name, [0])]
        with self._lock:
            self._rerun_rows[verb.name] += 1
        try:
            return verb.float32(engine, [row], verb.interrupt)
        except OutOfMemory as exc:
            _log.warning("a row that overflowed in half precision could not be run in float32: %s", exc)
            return [NonFiniteOutput(verb.name, [0])]

    def _opened(self) -> Engine | None:
        """Returns the engine in float32; None if it cannot be opened, or could not be a short time ago."""
        with self._lock:
            if self._float32 is None and time.monotonic() >= self._next_try:
                try:
                    self._float32 = self._open_engine()
                except (OutOfMemory, MemoryError, PackageError, StartupError) as exc:
                    self._next_try = time.monotonic() + _PAUSE_SECONDS
                    _log.warning("rows that overflow in half precision cannot be run in float32: %s", exc)
            return self._float32


class _Attempt(NamedTuple):
    """How the elements of a batch are answered."""

    name: str
    half: Callable[[Sequence[Any], Interrupt | None], Sequence[Any]]
    float32: Callable[[Engine, Sequence[Any], Interrupt | None], Sequence[Any]]
    interrupt: Interrupt | None


def _runs(count: int, failed: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yields the first row and the end of each part, in order: one for each row that failed, one for others between."""
    start = 0
    for row in failed:
        if start < row:
            yield start, row
        yield row, row + 1
        start = row + 1
    if start < count:
        yield start, count


def _joined(answers: Sequence[Any]) -> Any:  # noqa: ANN401, any verb's
    """Returns the answers to parts of an element as one."""
    columns = zip(*answers, strict=True)
    joined = (None if parts[0] is None else np.concatenate(parts) for parts in columns)
    return type(answers[0])(*joined)
