"""Errors that this project raises on purpose, named by whose fault they are.

VaeError                a message fit for a user: one line, no internals
|-- PackageError        the model package's: a file is missing, altered or not understood
|-- InvalidInput        the caller's: names the field at fault
|-- Unauthenticated     the caller's: no token, or one that the server does not know
|-- UnknownName         the caller's: no such model
|-- PreconditionFailed  the caller's: the request fits another model than this one
|-- Overloaded          nobody's: the queue or the memory is full, or too many calls are in flight; try again later
|-- DeadlineUnreachable nobody's: the answer would come too late, so nothing was begun
|-- DeadlinePassed      nobody's: the caller's deadline passed before the answer
|-- NotReady            nobody's: the server is still loading
|-- ShuttingDown        nobody's: the server is going away, another one may answer
|-- OutOfMemory         nobody's: the rows need more memory than the device has left
|-- NonFiniteOutput     the model's: it answered some rows with NaN or infinity
|-- EngineFailure       ours: the graph could not be run
|-- StartupError        the operator's: the service cannot start as configured
|-- TrainingError       the operator's: training or export cannot go on as configured
|-- JobError            the operator's: a batch job cannot go on
`-- CallError           a call's: what a client gets when a server answers with an error
"""

from collections.abc import Sequence


class VaeError(Exception):
    """An expected failure; its message is safe to show and to send.

    It can be pickled, so that a pool of processes hands on what its workers raise.
    """

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (type(self), self.args, vars(self))


def _restored(kind: type[VaeError], arguments: tuple[object, ...], attributes: dict[str, object]) -> VaeError:
    """Returns a pickled error. Its class cannot be called again, because the message is made of other arguments."""
    error = kind.__new__(kind, *arguments)
    vars(error).update(attributes)
    return error


class PackageError(VaeError):
    """A model package is missing a file, was altered, or is of a kind this version does not understand."""


class InvalidInput(VaeError):
    """The caller's input is wrong.

    Attributes:
        field: name of the request's field at fault, for example `latent.shape`.
        description: what is wrong with it, and what was expected.
    """

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field}: {description}")
        self.field = field
        self.description = description


class Unauthenticated(VaeError):
    """The caller has not proved that it may call."""


class UnknownName(VaeError):
    """The caller named something that is not here."""


class PreconditionFailed(VaeError):
    """The request does not fit this model.

    Attributes:
        reason: machine-readable, for example `FINGERPRINT_MISMATCH`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Overloaded(VaeError):
    """There is no room for the call: its queue or the memory is full, or too many calls are in flight.

    Attributes:
        retry_seconds: time after which there is likely to be room.
        reason: machine-readable, for example `QUEUE_FULL`.
    """

    def __init__(self, message: str, retry_seconds: float, reason: str = "QUEUE_FULL") -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds
        self.reason = reason


class DeadlineUnreachable(VaeError):
    """The rows would not be answered before the caller's deadline."""


class DeadlinePassed(VaeError):
    """The caller's deadline passed before the answer."""


class NotReady(VaeError):
    """The server is still loading."""


class ShuttingDown(VaeError):
    """The server no longer takes work."""

    def __init__(self, message: str = "the server is shutting down") -> None:
        super().__init__(message)


class OutOfMemory(VaeError):
    """The device does not have enough memory for the rows."""


class NonFiniteOutput(VaeError):
    """A graph answered some of a call's rows with NaN or infinity.

    Attributes:
        graph: name of the graph.
        rows: numbers of the rows within the call.
    """

    def __init__(self, graph: str, rows: Sequence[int]) -> None:
        listed = ", ".join(map(str, rows[:8])) + ", ..." * (len(rows) > 8)
        super().__init__(f"the {graph} answers NaN or infinity for row {listed}")
        self.graph = graph
        self.rows = rows

    def after(self, start: int) -> "NonFiniteOutput":
        """Returns this error with the row numbers of the whole call, of which this part begins at row `start`."""
        return NonFiniteOutput(self.graph, [start + row for row in self.rows])


class EngineFailure(VaeError):
    """The graph could not be run."""


class StartupError(VaeError):
    """The service cannot start as configured."""


class TrainingError(VaeError):
    """Training or export cannot go on as configured."""


class JobError(VaeError):
    """A batch job cannot go on; what is done stays done."""


class CallError(VaeError):
    """A call failed.

    Attributes:
        code: canonical status name, for example `INVALID_ARGUMENT`.
        field: name of the request's field at fault, if the server named one.
        reason: machine-readable reason, if the server gave one.
        retry_seconds: time after which the server said to try again, if it did.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        field: str | None = None,
        reason: str | None = None,
        retry_seconds: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.field = field
        self.reason = reason
        self.retry_seconds = retry_seconds


def how_to_install(extras: str) -> str:
    """Returns advice on how to install extras, comma-separated. Empty: the base install."""
    if not extras:
        return "pip install . in vaeserve's source"
    return f"install the extra{'s' * (',' in extras)} {extras}: pip install '.[{extras}]' in vaeserve's source"


def innermost(exc: BaseException) -> str:
    """Returns the first line of an error's root cause, because PyTorch wraps causes in pages of advice."""
    while exc.__cause__ is not None:
        exc = exc.__cause__
    return (str(exc).strip() or type(exc).__name__).splitlines()[0][:300]
