"""Records: frozen values that are read from files, and the first problem of one that is not valid."""

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError


class Record(BaseModel):
    """Frozen, and strict about keys: an unknown key means that a newer version wrote this."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Problem(NamedTuple):
    """What is wrong with a value; as text, one line."""

    where: str
    """Keys and indices that lead there, for example "graphs.encoder.file"; empty: the value as a whole."""
    message: str
    kind: str
    """Pydantic's name for the problem, for example "missing"."""
    value: object
    """The value at fault."""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


def first_problem(exc: ValidationError) -> Problem:
    """Returns the first of the problems that pydantic found."""
    first = exc.errors(include_url=False, include_context=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    return Problem(".".join(map(str, first["loc"])), message, first["type"], first["input"])
