"""What goes into a computation and what comes out, whoever computes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from jobs.settings import JobSettings, ModelFacts
from vaeserve.errors import InvalidInput
from vaeserve.package.manifest import STANDARD
from vaeserve.package.row_spec import Array
from vaeserve.package.sizes import Axes, PictureSize

LATENT, LOG_VARIANCE, CODES, OUTPUT = "latent", "log_variance", "codes", "output"
FLIP = "_flip"
"""Ends the names of answers to mirror images."""
AnswerType = tuple[str, tuple[int, ...]]
"""Element type, and shape of a row."""
SCORES = ("log_likelihood", "kl", "elbo", "squared_error")

NOT_FINITE = "the model answers NaN or infinity"


class Work(NamedTuple):
    """Rows to compute."""

    first_row: int
    """Address of the first."""
    row_count: int
    rows: Array | None
    """[row_count, *shape]; None: they are drawn from a prior."""
    size: PictureSize | None = None
    """Of the pictures, where it is free."""

    def part(self, start: int, stop: int) -> "Work":
        """Returns rows start to stop - 1."""
        rows = None if self.rows is None else self.rows[start:stop]
        return Work(self.first_row + start, stop - start, rows, self.size)


class Answers(NamedTuple):
    """What became of rows."""

    columns: Mapping[str, Array]
    """[rows, ...] by name. A row that has an error holds anything."""
    errors: Mapping[int, str]
    """What went wrong with a row, by its place."""


class Computer(Protocol):
    """Computes one job's rows."""

    def answers(self, work: Iterable[Work]) -> Iterator[Answers]:
        """Yields the answers to each piece of work, in order. May read some pieces ahead.

        Raises:
            VaeError: the job cannot go on.
        """
        ...

    def close(self) -> None:
        """Lets go of what is open."""
        ...


def written_columns(settings: JobSettings, model: ModelFacts) -> dict[str, AnswerType]:
    """Returns the type of every answer that is written, by name, in order: with those of mirror images.

    Args:
        settings: the job's.
        model: of rows of one size.
    """
    return {name: (dtype, _lengths(axes)) for name, (dtype, axes) in written_axes(settings, model).items()}


def answer_columns(settings: JobSettings, model: ModelFacts) -> dict[str, AnswerType]:
    """Returns the type of every answer to a row of one size, by name, in order."""
    return {name: (dtype, _lengths(axes)) for name, (dtype, axes) in _answer_axes(settings, model).items()}


def written_axes(settings: JobSettings, model: ModelFacts) -> dict[str, tuple[str, Axes]]:
    """Returns what `written_columns` does, with names in place of lengths where the size is free."""
    axes = _answer_axes(settings, model)
    return axes | {f"{name}{FLIP}": kind for name, kind in axes.items()} if settings.flip else axes


def _lengths(axes: Axes) -> tuple[int, ...]:
    """Returns the axes of rows of one size."""
    lengths = tuple(axis for axis in axes if isinstance(axis, int))
    if len(lengths) != len(axes):
        raise AssertionError(f"rows of free axes {axes}, where those of one size were expected. This is a bug.")
    return lengths


def _answer_axes(settings: JobSettings, model: ModelFacts) -> dict[str, tuple[str, Axes]]:
    if settings.verb == "encode" and settings.output == CODES:
        return {CODES: ("uint16", model.latent.axes)}
    if settings.verb == "encode":
        names = (LATENT, LOG_VARIANCE) if settings.output == "moments" else (LATENT,)
        return dict.fromkeys(names, ("float32", model.latent.axes))
    if settings.verb == "reconstruct":
        has_likelihood = model.has_likelihood
        has_kl = model.posterior == "gaussian" and model.default_prior == STANDARD
        there_are = (has_likelihood, has_kl, has_likelihood and has_kl, True)
        return {name: ("float32", ()) for name, there_is in zip(SCORES, there_are, strict=True) if there_is}
    return {OUTPUT: (model.data.dtype if settings.output == "data" else "float32", model.data.axes)}


def blank_columns(columns: Mapping[str, AnswerType], rows: int) -> dict[str, Array]:
    """Returns answers of zeros, [rows, ...] each."""
    return {name: np.zeros((rows, *shape), dtype) for name, (dtype, shape) in columns.items()}


def rows_of(answers: Answers) -> int:
    """Returns how many rows answers are for."""
    return len(next(iter(answers.columns.values())))


def joined(parts: Sequence[Answers]) -> Answers:
    """Returns the answers to the parts of one piece of work as one."""
    if len(parts) == 1:
        return parts[0]
    errors, first = dict[int, str](), 0
    for part in parts:
        errors |= {first + row: reason for row, reason in part.errors.items()}
        first += rows_of(part)
    names = parts[0].columns
    return Answers({name: np.concatenate([part.columns[name] for part in parts]) for name in names}, errors)


def scores_of(log_likelihood: Array | None, kl: Array | None, squared_error: Array) -> dict[str, Array]:
    """Returns the scores that a model has, by name. The ELBO is the log-likelihood less the KL."""
    elbo = None if log_likelihood is None or kl is None else log_likelihood - kl
    scores = zip(SCORES, (log_likelihood, kl, elbo, squared_error), strict=True)
    return {name: values for name, values in scores if values is not None}


def check_settings(settings: JobSettings, model: ModelFacts) -> None:
    """Refuses what a model cannot do.

    Raises:
        InvalidInput: names the setting.
    """
    if model.codes is None and (settings.codes or settings.output == CODES):
        option = "--codes" if settings.codes else "--output"
        raise InvalidInput(option, f"is for models with codes; the latents of {model.name} are any numbers")
    needs_posterior = settings.verb in ("encode", "reconstruct") and settings.output not in ("mean", CODES)
    if model.posterior == "none" and needs_posterior:
        option = "--latent" if settings.verb == "reconstruct" else "--output"
        raise InvalidInput(option, f"is {settings.output}: model {model.name} has no posterior, only a mean")
    if settings.flip and (settings.verb != "encode" or model.data.kind != "image"):
        raise InvalidInput("--flip", "is for encoding pictures")
    if settings.verb == "sample" and not model.priors:
        raise InvalidInput("the verb", f"is sample: model {model.name} has no prior, so nothing can be sampled from it")
    if settings.verb == "sample" and settings.prior not in model.priors:
        raise InvalidInput("--prior", f"is {settings.prior!r}, must be one of {', '.join(model.priors)}")
