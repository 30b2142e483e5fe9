from typing import Self

import pytest
from pydantic import ValidationError, model_validator

from vaeserve.records import Problem, Record, first_problem


class _Row(Record):
    size: float
    name: str = ""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.size > 1 and not self.name:
            raise ValueError("large ones have names")
        return self


class _Table(Record):
    rows: tuple[_Row, ...]


def _problem(rows: object) -> Problem:
    with pytest.raises(ValidationError) as refused:
        _Table.model_validate({"rows": rows})
    return first_problem(refused.value)


@pytest.mark.parametrize(
    ("row", "kind", "text"),
    [
        ({"size": 1, "colour": "red"}, "extra_forbidden", "rows.1.colour: Extra inputs are not permitted"),
        ({}, "missing", "rows.1.size: Field required"),
        ({"size": float("nan")}, "finite_number", "rows.1.size: Input should be a finite number"),
        ({"size": 2}, "value_error", "rows.1: large ones have names"),
    ],
)
def test_the_first_problem_says_where_and_what(row: object, kind: str, text: str) -> None:
    problem = _problem([{"size": 1}, row, {}])
    assert (problem.kind, str(problem)) == (kind, text)


def test_a_problem_of_the_whole_names_no_place() -> None:
    with pytest.raises(ValidationError) as refused:
        _Row.model_validate({"size": 2})
    assert first_problem(refused.value) == ("", "large ones have names", "value_error", {"size": 2})
    assert str(first_problem(refused.value)) == "large ones have names"


def test_records_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        _Row(size=1).size = 2  # type: ignore[misc]
