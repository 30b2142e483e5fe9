"""Options are refused by the names that the command gives them, in the words of this project."""

from typing import Literal

import pytest
from pydantic import Field

from jobs.refusals import Options, option_of
from vaeserve.errors import InvalidInput


class _Asked(Options):
    partition_rows: int = Field(1, ge=1, le=9)
    timeout_seconds: float = Field(1.0, gt=0, lt=2.5)
    format: Literal["npy", "parquet"] = "npy"
    flip: bool = False
    model: str = ""
    keep: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("partition_rows", 0, "--partition-rows: is 0, must be at least 1"),
        ("partition_rows", 10, "--partition-rows: is 10, must be at most 9"),
        ("partition_rows", "x", "--partition-rows: is 'x', must be a whole number"),
        ("partition_rows", None, "--partition-rows: is None, must be a whole number"),
        ("partition_rows", 1.5, "--partition-rows: is 1.5, must be a whole number"),
        ("timeout_seconds", 0, "--timeout: is 0, must be above 0"),
        ("timeout_seconds", 3, "--timeout: is 3, must be below 2.5"),
        ("timeout_seconds", "x", "--timeout: is 'x', must be a number"),
        ("timeout_seconds", float("inf"), "--timeout: is inf, must be a finite number"),
        ("format", "csv", "--format: is 'csv', must be 'npy' or 'parquet'"),
        ("flip", "x", "--flip: is 'x', must be true or false"),
        ("model", 1, "--model: is 1, must be text"),
        ("keep", "id", "--keep: is 'id', must be a list"),
        ("nothing", 1, "--nothing: is 1, extra inputs are not permitted"),
    ],
)
def test_a_wrong_value_is_one_line(name: str, value: object, line: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        _Asked.parse(**{name: value})
    assert str(refused.value) == line


def test_settings_have_the_names_of_options() -> None:
    assert option_of("model_version") == "--version"
    assert option_of("output", "reconstruct") == "--latent"
    assert option_of("output", "encode") == "--output"
    assert option_of("verb") == "the verb"
