"""What encode, decode and sample take: said once, for Client and AsyncClient alike."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar, get_args

import numpy.typing as npt

from vae import calls
from vae.calls import DecodeOutput, Draw, EncodeOutput, Operation
from vae.description import Answer, Model, Route
from vae.replies import Decoded, Encoded, Sampled

Run = TypeVar("Run", bound=Callable[..., object])


class Call(NamedTuple, Generic[Answer]):
    """A call before the model that it is for has been described."""

    route: Route
    build: Callable[[Model], Operation[Any, Any, Answer]]
    """Raises InvalidInput if the call does not fit the model."""
    timeout_seconds: float | None


def encode(
    data: npt.ArrayLike,
    *,
    output: EncodeOutput = "mean",
    seed: int | None = None,
    first_row: int = 0,
    model: str = "",
    version: int = 0,
    timeout_seconds: float | None = None,
) -> Call[Encoded]:
    """Encodes rows of data into latents.

    Args:
        data: [rows, *Model.data.shape], every value in [minimum, maximum]; converted to the model's element type where
            that loses nothing.
        output: the posterior's "mean", a "sample" of it, or "moments": mean and log-variance.
        seed: of a sample, in [0, 2^64 - 1]; picked, and told in the result, if None.
        first_row: number of the first row, in [0, 2^63 - rows]; row k of a sample draws the noise of first_row + k.
        model: name; empty means the server's default.
        version: 1 or more; 0 means the newest.
        timeout_seconds: deadline of each request, its retries included; the client's own if None.

    Raises:
        InvalidInput: the data or an option does not fit the model.
        CallError: the server or the network answered with an error.
    """
    route = Route(model, version)
    return Call(
        route,
        lambda known: calls.encode(known, route, data, output=output, seed=seed, first_row=first_row),
        timeout_seconds,
    )


def decode(
    latent: npt.ArrayLike | Encoded,
    *,
    output: DecodeOutput = "data",
    fingerprint: str | None = None,
    model: str = "",
    version: int = 0,
    timeout_seconds: float | None = None,
) -> Call[Decoded]:
    """Decodes latents into data.

    Args:
        latent: float32 [rows, *Model.latent_shape], or what `encode` returned.
        output: "data", rounded and clipped to the data's type, or the likelihood's "expectation", float32.
        fingerprint: the pair to insist on. None means the pair that an `Encoded` came from, and any pair for an array.
        model: name; empty means the server's default.
        version: 1 or more; 0 means the newest.
        timeout_seconds: deadline of each request, its retries included; the client's own if None.

    Raises:
        InvalidInput: the latents or an option do not fit the model.
        CallError: the server or the network answered with an error; FAILED_PRECONDITION if it serves another pair.
    """
    route = Route(model, version)
    return Call(
        route,
        lambda known: calls.decode(known, route, latent, output=output, fingerprint=fingerprint),
        timeout_seconds,
    )


def sample(
    count: int,
    *,
    seed: int | None = None,
    first_row: int = 0,
    temperature: float | None = None,
    prior: str = "",
    output: DecodeOutput = "data",
    include_latent: bool = False,
    model: str = "",
    version: int = 0,
    timeout_seconds: float | None = None,
) -> Call[Sampled]:
    """Draws rows first_row to first_row + count - 1 of a seed from a prior, and decodes them.

    Args:
        count: number of rows, 1 or more.
        seed: in [0, 2^64 - 1]; picked, and told in the result, if None.
        first_row: in [0, 2^63 - count]. Rows are addressed: (seed, row) gives the same latent in every call.
        temperature: factor on the noise's standard deviation, above 0; None means 1.
        prior: name; empty means the model's default.
        output: "data", rounded and clipped to the data's type, or the likelihood's "expectation", float32.
        include_latent: whether to answer the latents too.
        model: name; empty means the server's default.
        version: 1 or more; 0 means the newest.
        timeout_seconds: deadline of each request, its retries included; the client's own if None.

    Raises:
        InvalidInput: an option does not fit the model.
        CallError: the server or the network answered with an error.
    """
    route = Route(model, version)
    draw = Draw(count, seed, first_row, temperature, prior, output, include_latent)
    return Call(route, lambda known: calls.sample(known, route, draw), timeout_seconds)


def described_by(method: Callable[..., object], run: Run) -> Run:
    """Gives a client's method the name, the documentation and the arguments of what it runs."""
    signature = inspect.signature(method)
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    (answer,) = get_args(signature.return_annotation)
    functools.update_wrapper(run, method)
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[itself, *signature.parameters.values()], return_annotation=answer
    )
    return run
