"""Local: a model package in this process, with a client's methods. Nothing listens, and nothing is sent."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any, cast

from serving.engine.providers import ProviderChoice
from serving.local.answering import LocalService
from serving.settings import settings_of
from serving.transport.status import refusal_of
from vaeserve.client.call import PreparedCall, Reply, Result, as_route
from vaeserve.client.description import Model, parse_model
from vaeserve.client.endpoint import check_timeout
from vaeserve.client.failures import StreamFailure, call_error, client_closed
from vaeserve.client.results import Sampled
from vaeserve.client.samples import Samples
from vaeserve.client.stream_jobs import StreamJob
from vaeserve.client.verbs import BlockingVerbs
from vaeserve.errors import CallError, InvalidInput, VaeError


class Local(BlockingVerbs):
    """Runs a package, for any number of threads, as a server of it on this machine would: with the same results.

    With the same provider and threads they are the same to the bit if the model is exact (`get_model().exactness`).

    `timeout_seconds` is checked and has no effect: there is no queue to wait in, and no connection that may hang.

    Args:
        package: a model package.
        provider: what runs the graphs: "cpu"; "cuda", which is refused without a GPU; or "auto".
        threads: of one batch; 0: chosen automatically.
        batch_rows: maximum number of rows in one batch; 0: chosen automatically.

    Raises:
        InvalidInput: an argument is out of range.
        PackageError: the package is damaged, or its graphs do not answer as the trainer's did.
        StartupError: ONNX Runtime is not installed as it should be, or the provider is not available.
        OutOfMemory: there is not enough memory for a single row.
    """

    def __init__(
        self,
        package: str | PathLike[str],
        *,
        provider: ProviderChoice = "auto",
        threads: int = 0,
        batch_rows: int = 0,
    ) -> None:
        self._arguments: dict[str, object] = {
            "package": package,
            "provider": provider,
            "threads": threads,
            "batch_rows": batch_rows,
        }
        settings = settings_of(package=package, provider=provider, threads=threads, batch_rows=batch_rows)
        self._service = LocalService(settings.package, settings)
        self._process = os.getpid()
        self._is_closed = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._arguments['package'])!r})"

    def __getstate__(self) -> dict[str, object]:
        """Returns the constructor's arguments, from which another process loads the package."""
        return self._arguments

    def __setstate__(self, arguments: dict[str, Any]) -> None:
        self.__init__(**arguments)  # type: ignore[misc]  # a pickle holds what __getstate__ returned

    def get_model(self, model: str = "", version: int = 0, *, timeout_seconds: float | None = None) -> Model:
        """Describes the model. A name or version that is not the package's raises CallError, NOT_FOUND."""
        _check(timeout_seconds)
        route = as_route(model, version)
        with self._answering():
            return parse_model(self._service.describe(*route))

    def list_models(self, *, timeout_seconds: float | None = None) -> list[Model]:
        """Describes the model."""
        return [self.get_model(timeout_seconds=timeout_seconds)]

    def close(self) -> None:
        """Lets go of the model. Calls in progress and later ones fail with CANCELLED."""
        self._is_closed = True
        self._service.close()

    def _call(self, call: PreparedCall[Reply, Result], timeout_seconds: float | None) -> Result:
        _check(timeout_seconds)
        model = self.get_model(*call.route)
        replies: list[Reply] = []
        for request in call.requests(model):
            with self._answering():
                replies.append(cast(Reply, self._service.answer(call.method, cast(Any, request))))
        return call.join(model, replies)

    def _converse(
        self, job: StreamJob[Reply, Result], batches: Iterable[Any], timeout_seconds: float | None
    ) -> Iterator[Result]:
        _check(timeout_seconds)
        return self._results(job, batches)

    def _results(self, job: StreamJob[Reply, Result], batches: Iterable[Any]) -> Iterator[Result]:
        self.get_model(*job.route)
        for batch in batches:
            yield self._call(job.prepare(batch), None)

    def _draw(self, samples: Samples, timeout_seconds: float | None) -> Iterator[Sampled]:
        _check(timeout_seconds)
        return self._pieces(samples)

    def _pieces(self, samples: Samples) -> Iterator[Sampled]:
        model = self.get_model(*samples.route)
        pieces = self._service.sample(samples.request(model))
        while not samples.is_done:
            with self._answering():
                piece = next(pieces)
            yield samples.receive(piece, lambda call, model, replies: call.join(model, replies), model)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Turns an error of the service into the one that its client would raise.

        Raises:
            CallError: CANCELLED, because this is closed, or what the service answers.
            InvalidInput: the process is a fork, in which the threads that run batches are missing.
        """
        if self._is_closed:
            raise client_closed()
        if self._process != os.getpid():
            raise InvalidInput("package", "was loaded before this process was forked: load it again in this one")
        try:
            yield
        except VaeError as exc:
            if isinstance(exc, CallError):
                raise
            if self._is_closed:
                raise client_closed() from exc
            refusal = refusal_of(exc)
            failure = StreamFailure(refusal.code, refusal.message, refusal.trailers)
            raise call_error(failure, str(self), 0.0) from exc


def _check(timeout_seconds: float | None) -> None:
    if timeout_seconds is not None:
        check_timeout(timeout_seconds)
