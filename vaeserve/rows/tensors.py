"""Tensor messages <-> arrays. Parsing is the validation: what comes out of here needs no further check."""

from collections.abc import Sequence
from math import prod

import numpy as np

from vaeserve.errors import InvalidInput
from vaeserve.package.row_spec import Array, RowSpec, brief
from vaeserve.v1 import vae_pb2 as pb

_DTYPES: dict[int, np.dtype[np.number]] = {
    pb.DATA_TYPE_UINT8: np.dtype("u1"),
    pb.DATA_TYPE_UINT16: np.dtype("<u2"),
    pb.DATA_TYPE_FLOAT32: np.dtype("<f4"),
    pb.DATA_TYPE_FLOAT16: np.dtype("<f2"),
}
_NUMBERS = {
    "B": pb.DATA_TYPE_UINT8,
    "H": pb.DATA_TYPE_UINT16,
    "f": pb.DATA_TYPE_FLOAT32,
    "e": pb.DATA_TYPE_FLOAT16,
}  # by NumPy's letter
_ACCEPTED = {"float32": (pb.DATA_TYPE_FLOAT32, pb.DATA_TYPE_FLOAT16)}
_NAMES = {value.number: value.name for value in pb.DataType.DESCRIPTOR.values}
DATA_TYPES = {
    "uint8": pb.DATA_TYPE_UINT8,
    "uint16": pb.DATA_TYPE_UINT16,
    "float32": pb.DATA_TYPE_FLOAT32,
    "float16": pb.DATA_TYPE_FLOAT16,
}
"""Wire type by the name that manifests and NumPy use."""


def to_message(array: Array) -> pb.Tensor:
    """Returns the message that holds an array of uint8, uint16, float32 or float16."""
    number, _ = wire_type(array.dtype.char)
    return pb.Tensor(dtype=number, shape=array.shape, data=little_endian(array).tobytes())


def wire_type(letter: str) -> tuple["pb.DataType.ValueType", int]:
    """Returns the element type and its bytes, by NumPy's letter of uint8, uint16, float32 or float16."""
    number = _NUMBERS[letter]
    return number, _DTYPES[number].itemsize


def little_endian(array: Array) -> Array:
    """Returns an array as its values travel: in C order, with the low bytes first."""
    return np.ascontiguousarray(array, _DTYPES[_NUMBERS[array.dtype.char]])


def to_array(message: pb.Tensor, field: str, dtype: str, row_shape: Sequence[int]) -> Array:
    """Returns the rows that a message holds, read-only unless they had to be converted.

    Args:
        message: the message.
        field: what to call it in an error.
        dtype: the element type it must have, by NumPy's name; where it is "float32", float16 is taken too.
        row_shape: the shape of one row.

    Returns:
        Array [rows, *row_shape] of that type, with at least one row.

    Raises:
        InvalidInput: the type, rank or shape is wrong, there are no rows, or the bytes do not match the shape.
    """
    allowed = _ACCEPTED.get(dtype, (DATA_TYPES[dtype],))
    if message.dtype not in allowed:
        name = _NAMES.get(message.dtype, str(int(message.dtype)))
        raise InvalidInput(f"{field}.dtype", f"is {name}, must be {' or '.join(_NAMES[number] for number in allowed)}")
    kind = _DTYPES[message.dtype]
    shape = tuple(message.shape) if len(message.shape) == 1 + len(row_shape) else ()  # there may be millions of axes
    if shape[1:] != tuple(row_shape) or not shape:
        expected = f"[rows, {', '.join(map(str, row_shape))}]"
        raise InvalidInput(f"{field}.shape", f"is {brief(message.shape)}, must be {expected}")
    if shape[0] < 1:
        raise InvalidInput(f"{field}.shape", f"has {shape[0]} rows, must have at least 1")
    size = prod(shape) * kind.itemsize
    content = message.data  # read once, because each access copies it
    if len(content) != size:
        raise InvalidInput(f"{field}.data", f"holds {len(content)} bytes, shape {brief(shape)} takes {size}")
    return np.frombuffer(content, kind).reshape(shape).astype(_DTYPES[DATA_TYPES[dtype]], copy=False)


def parse_rows(message: pb.Tensor, field: str, spec: RowSpec) -> Array:
    """Returns the rows that a message holds, [rows, *spec.shape] of spec.dtype; of one size where sizes are free.

    Raises:
        InvalidInput: as `to_array` does, or a value is not allowed.
    """
    rows = to_array(message, field, spec.dtype, spec.shape if spec.sizes is None else _row_shape(message, field, spec))
    spec.check(rows, f"{field}.data")
    return rows


def _row_shape(message: pb.Tensor, field: str, spec: RowSpec) -> tuple[int, ...]:
    """Returns the shape of a message's rows, which have one of the sizes that are free."""
    shape = message.shape[1 : 2 + len(spec.axes)]  # there may be millions of axes
    if spec.size_of(shape) is None:
        raise InvalidInput(f"{field}.shape", f"is {brief(message.shape)}, must be {spec.expected()}")
    return tuple(shape)
