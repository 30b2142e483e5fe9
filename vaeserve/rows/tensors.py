"""Tensor messages <-> arrays. Parsing is the validation: what comes out of here needs no further check."""

from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt

from vaeserve.errors import InvalidInput, PreconditionFailed
from vaeserve.package.manifest import DataSpec
from vaeserve.v1 import vae_pb2 as pb

Array = npt.NDArray[np.number]
"""uint8, float32 or float16."""

_DTYPES: dict[int, np.dtype[np.number]] = {
    pb.DATA_TYPE_UINT8: np.dtype("u1"),
    pb.DATA_TYPE_FLOAT32: np.dtype("<f4"),
    pb.DATA_TYPE_FLOAT16: np.dtype("<f2"),
}
_NUMBERS = {"B": pb.DATA_TYPE_UINT8, "f": pb.DATA_TYPE_FLOAT32, "e": pb.DATA_TYPE_FLOAT16}  # by NumPy's letter
_TAKEN_AS = {"float32": (pb.DATA_TYPE_FLOAT32, pb.DATA_TYPE_FLOAT16)}
_NAMES = {value.number: value.name for value in pb.DataType.DESCRIPTOR.values}
DATA_TYPES = {"uint8": pb.DATA_TYPE_UINT8, "float32": pb.DATA_TYPE_FLOAT32, "float16": pb.DATA_TYPE_FLOAT16}
"""Wire type by the name that manifests and NumPy use."""


def join(parts: Sequence[Array]) -> Array:
    """Returns the rows of all parts, without a copy if there is but one."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def to_message(array: Array) -> pb.Tensor:
    """Returns the message that holds an array of uint8, float32 or float16."""
    number = _NUMBERS[array.dtype.char]
    return pb.Tensor(dtype=number, shape=array.shape, data=array.astype(_DTYPES[number], copy=False).tobytes())


def to_array(message: pb.Tensor, field: str, dtype: str, row_shape: Sequence[int]) -> Array:
    """Returns the rows that a message holds, read-only unless they had to be converted.

    Args:
        message: the message.
        field: what to call it in an error.
        dtype: the element type it must have: "uint8", "float16", or "float32", for which float16 is taken too.
        row_shape: the shape of one row.

    Returns:
        Array [rows, *row_shape] of that type, with at least one row.

    Raises:
        InvalidInput: the type, rank or shape is another, there are no rows, or the bytes do not match the shape.
    """
    allowed = _TAKEN_AS.get(dtype, (DATA_TYPES[dtype],))
    if message.dtype not in allowed:
        given = _NAMES.get(message.dtype, str(int(message.dtype)))
        raise InvalidInput(f"{field}.dtype", f"is {given}, must be {' or '.join(_NAMES[number] for number in allowed)}")
    kind = _DTYPES[message.dtype]
    shape = tuple(message.shape) if len(message.shape) == 1 + len(row_shape) else ()  # there may be millions of axes
    if shape[1:] != tuple(row_shape) or not shape:
        wanted = f"[rows, {', '.join(map(str, row_shape))}]"
        raise InvalidInput(f"{field}.shape", f"is {_brief(message.shape)}, must be {wanted}")
    if shape[0] < 1:
        raise InvalidInput(f"{field}.shape", f"has {shape[0]} rows, must have at least 1")
    size = prod(shape) * kind.itemsize
    content = message.data  # once: each access copies it
    if len(content) != size:
        raise InvalidInput(f"{field}.data", f"holds {len(content)} bytes, shape {_brief(shape)} takes {size}")
    return np.frombuffer(content, kind).reshape(shape).astype(_DTYPES[DATA_TYPES[dtype]], copy=False)


def to_float16(rows: Array, field: str) -> Array:
    """Returns floating-point rows as float16, rounded to nearest, and rows of any other type as they are.

    Raises:
        PreconditionFailed: FLOAT16_OVERFLOW; a finite value is too large for it.
    """
    if rows.dtype.kind != "f":
        return rows
    with np.errstate(over="ignore"):
        converted = rows.astype(np.float16)
    too_large = np.isinf(converted)
    too_large &= np.isfinite(rows)
    if too_large.any():
        index = np.unravel_index(int(np.argmax(too_large)), too_large.shape)
        raise PreconditionFailed(
            "FLOAT16_OVERFLOW", f"{field}: {_place(rows, index)} is too large for float16: ask for float32"
        )
    return converted


def parse_data(message: pb.Tensor, field: str, spec: DataSpec) -> Array:
    """Returns rows of data, [rows, *spec.shape] of spec.dtype.

    Raises:
        InvalidInput: as `to_array` does, or a value lies outside the range, or is NaN where none may be missing.
    """
    rows = to_array(message, field, spec.dtype, spec.shape)
    _check_data(rows, f"{field}.data", spec)
    return rows


def parse_latent(message: pb.Tensor, field: str, latent_shape: Sequence[int]) -> Array:
    """Returns latents, float32 [rows, *latent_shape].

    Raises:
        InvalidInput: as `to_array` does, or a value is NaN or infinite.
    """
    rows = to_array(message, field, "float32", latent_shape)
    _check_latent(rows, f"{field}.data")
    return rows


def fit_data(given: Array, field: str, spec: DataSpec) -> Array:
    """Returns a user's rows of data as the model takes them, [rows, *spec.shape] of spec.dtype.

    Float16 stays float16 where float32 is taken: it is half as long on the wire, and loses nothing there.

    Raises:
        InvalidInput: another shape, a value that the type cannot hold or that lies outside the range, or NaN where
            none may be missing.
    """
    rows = _fit(given, field, spec.dtype, spec.shape)
    _check_data(rows, field, spec)
    return _short(given, rows)


def fit_latent(given: Array, field: str, latent_shape: Sequence[int]) -> Array:
    """Returns a user's latents as the model takes them, float32 or float16 [rows, *latent_shape].

    Raises:
        InvalidInput: another shape, or a value that float32 cannot hold, or that is NaN or infinite.
    """
    rows = _fit(given, field, "float32", latent_shape)
    _check_latent(rows, field)
    return _short(given, rows)


def _short(given: Array, rows: Array) -> Array:
    """Returns rows in the shorter of two types that hold the same numbers."""
    return given if (given.dtype.name, rows.dtype.name) == ("float16", "float32") else rows


def _fit(given: Array, field: str, dtype: str, row_shape: Sequence[int]) -> Array:
    """Returns rows in the element type asked for, where that loses nothing but float32's rounding."""
    wanted = f"[rows, {', '.join(map(str, row_shape))}]"
    if given.shape == tuple(row_shape):
        raise InvalidInput(field, f"is a single row of shape {_brief(given.shape)}, must be {wanted}: add a first axis")
    if given.shape[1:] != tuple(row_shape):
        raise InvalidInput(field, f"has shape {_brief(given.shape)}, must be {wanted}")
    return _convert(given, field, np.dtype(dtype))


def _convert(given: Array, field: str, dtype: np.dtype[np.number]) -> Array:
    if given.dtype == dtype:
        return given
    with np.errstate(all="ignore"):  # what overflows is found by the comparison
        converted = given.astype(dtype)
        if dtype.kind == "f" and given.dtype.kind == "f":
            kept = np.isfinite(converted) | ~np.isfinite(given)
        else:
            kept = converted.astype(given.dtype) == given
            if dtype.kind == "f":  # an integer past float32's range of exact ones may wrap back to itself
                kept &= np.abs(converted) < 2.0**63
    _refuse(given, kept, field, f"cannot be {dtype.name}")
    return converted


def _check_data(rows: Array, field: str, spec: DataSpec) -> None:
    if spec.dtype == "uint8" and spec.minimum <= 0 and spec.maximum >= 255:
        return
    inside = (rows >= spec.minimum) & (rows <= spec.maximum)
    if spec.missing_allowed:
        inside |= np.isnan(rows)
    _refuse(rows, inside, field, f"must lie in [{spec.minimum:g}, {spec.maximum:g}]")


def _check_latent(rows: Array, field: str) -> None:
    _refuse(rows, np.isfinite(rows), field, "must be finite")


def _refuse(rows: Array, allowed: npt.NDArray[np.bool_], field: str, rule: str) -> None:
    if not allowed.all():
        index = np.unravel_index(int(np.argmin(allowed)), allowed.shape)
        raise InvalidInput(field, f"{_place(rows, index)} {rule}")


def _place(rows: Array, index: Sequence[np.intp]) -> str:
    return f"{rows[tuple(index)]} in row {index[0]} at [{', '.join(map(str, index[1:]))}]"


def _brief(shape: Sequence[int]) -> str:
    """Shows a shape whatever its length: a message may hold a million axes."""
    listed = ", ".join(map(str, shape[:8]))
    return f"[{listed}]" if len(shape) <= 8 else f"[{listed}, ... {len(shape)} axes]"
