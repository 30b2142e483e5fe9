"""A column of Arrow -> numbers, and what is wrong with a cell that holds none."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute

from vaeserve.files import AnyArray
from vaeserve.sources.head import number_of
from vaeserve.sources.names import quoted
from vaeserve.sources.table import Texts, number_problem

_MISSING = frozenset(("na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "?"))
_NO_CLASS = frozenset(("na", "n/a", "#n/a", "nan", "null"))  # "none" and "-" may well be classes
_SEPARATED = re.compile(r"[+-]?\d[\d.,'\s]*")


def numbers_of(column: pa.ChunkedArray) -> AnyArray:
    """Returns a column's numbers, float64 [rows], with NaN for what is missing or no number."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        try:
            return _float64(pa.compute.utf8_trim_whitespace(column))
        except pa.ArrowInvalid:
            return np.array([number_of(cell or "") for cell in column.to_pylist()])
    if (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    ):
        return _float64(column)
    return np.full(len(column), np.nan)


def texts_of(column: pa.ChunkedArray) -> Texts:
    """Returns a column's cells as text, "" for what is missing. Numbers are written in the shortest way."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return np.array([_text_of(value) for value in column.to_pylist()], np.object_)


def _text_of(value: object) -> str:
    text = f"{value:.15g}" if isinstance(value, float) else str("" if value is None else value).strip()
    return "" if text.lower() in _NO_CLASS else text


def _float64(column: pa.ChunkedArray) -> AnyArray:
    values: AnyArray = pa.compute.cast(column, pa.float64(), safe=False).to_numpy()
    return values


def problem_of(cell: pa.Scalar) -> str:
    """Returns what is wrong with a cell that holds no number."""
    try:
        value = cell.as_py()
    except (pa.ArrowException, ValueError, OverflowError):  # a time that Python cannot tell, for example
        return f"holds {cell.type}, no number"
    if value is None or (isinstance(value, str) and not value.strip()):
        return "is missing"
    if isinstance(value, str):
        return _problem_of_text(value)
    if pa.types.is_temporal(cell.type):
        return f"holds {quoted(str(value))}, no number: turn times into numbers, such as days from a first one"
    try:
        return number_problem(float(value))
    except (TypeError, ValueError, OverflowError):
        return f"holds {quoted(str(value))}, no number"


def _problem_of_text(text: str) -> str:
    if text.strip().lower() in _MISSING:
        return f"is missing ({quoted(text.strip())})"
    if np.isfinite(number := number_of(text)):
        return number_problem(number)
    if _SEPARATED.fullmatch(text.strip()):
        return f"holds {quoted(text)}: write numbers with a decimal point and without separators of thousands"
    return f"holds {quoted(text)}"
