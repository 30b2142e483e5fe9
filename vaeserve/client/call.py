"""A prepared call: the requests that it is made of for a model, and how their replies become one result."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from google.protobuf.message import Message

from vaeserve.client.description import Model
from vaeserve.client.parts import MostRows
from vaeserve.client.results import FromPair
from vaeserve.client.scalars import integer, text
from vaeserve.package.sizes import PictureSize

Reply = TypeVar("Reply", bound=Message)
Result = TypeVar("Result", bound=FromPair)

_SEED_BITS = 53  # what a JSON number holds exactly, so that a seed survives being written down anywhere


class Route(NamedTuple):
    """Which model a call is for."""

    model: str
    """Name; empty: the only model."""
    version: int
    """0: the newest version."""


def all_that_is_left(left: int) -> int:
    """Returns no limit: a part holds as many rows as the server's own limits allow."""
    return left


class MakeRequests(Protocol):
    """Builds the requests of a call."""

    def __call__(self, description: Model, most_rows: MostRows = all_that_is_left) -> Iterable[Message]:
        """Returns the requests for a model. Each is built when it is asked for, with as many rows as the time allows.

        Raises:
            InvalidInput: the call does not fit the model.
        """
        ...


class PreparedCall(NamedTuple, Generic[Reply, Result]):
    """Everything that a client needs for a call."""

    route: Route
    method: str
    """Name of the RPC."""
    requests: MakeRequests
    size: Callable[[Model], PictureSize | None]
    """Returns the size of its pictures; None: the model's rows all have the same shape, or the call does not fit it.

    Raises InvalidInput, as `requests` does.
    """
    join: Callable[[Model, Sequence[Reply]], Result]
    """Makes one result of the replies, which come in the order of the requests. The model is that of the requests."""


def as_route(model: str, version: int) -> Route:
    """Checks a model's name and version."""
    return Route(text("model", model), integer("version", version, 2**32))


def choose_seed(seed: int | None) -> int:
    """Checks a seed, or picks one. The client picks it so that all parts and retries draw the same noise."""
    return secrets.randbits(_SEED_BITS) if seed is None else integer("seed", seed, 2**64)
