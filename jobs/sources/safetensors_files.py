"""`.safetensors` files: where a tensor lies. A length of 8 bytes, a header in JSON, then the values."""

import json
from typing import BinaryIO, Final

import numpy as np
from pydantic import TypeAdapter

from jobs.sources.stored_arrays import ArrayLayout
from vaeserve.errors import InvalidInput
from vaeserve.printable import printable
from vaeserve.records import Record

_MAXIMUM_HEADER_BYTES: Final = 10**8  # as the format's own reader has it
_METADATA: Final = "__metadata__"
_BFLOAT16: Final = "BF16"
_TYPES: Final = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", _BFLOAT16: "<u2", "BOOL": "?"},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1"},
    **{"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1"},
}


class _Tensor(Record):
    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


_TENSORS = TypeAdapter(dict[str, _Tensor])


def tensor_layout(file: BinaryIO, key: str, called: str) -> ArrayLayout:
    """Returns how a tensor lies in an open file: the one of this key, or the only one.

    Raises:
        InvalidInput: named by `called`; there is no such tensor, or the header does not fit the file.
    """
    size = file.seek(0, 2)
    file.seek(0)
    start = 8 + int.from_bytes(file.read(8), "little")
    if not 8 < start <= min(size, 8 + _MAXIMUM_HEADER_BYTES):
        raise _damaged(called)
    try:
        tensors = _read_header(file.read(start - 8))
    except (ValueError, RecursionError) as exc:  # JSON's and Pydantic's errors are ValueErrors
        raise _damaged(called) from exc
    tensor = _chosen(tensors, key, called)
    if tensor.dtype not in _TYPES:
        raise InvalidInput(called, f"holds {printable(tensor.dtype)}, must hold numbers")
    layout = ArrayLayout(
        tensor.shape,
        np.dtype(_TYPES[tensor.dtype]),
        start + tensor.data_offsets[0],
        is_within=True,
        is_bfloat16=tensor.dtype == _BFLOAT16,
    )
    begin, end = tensor.data_offsets
    if min(tensor.shape, default=0) < 0 or begin < 0 or end - begin != layout.bytes or start + end > size:
        raise _damaged(called)
    return layout


def _read_header(content: bytes) -> dict[str, _Tensor]:
    header = json.loads(content)
    if not isinstance(header, dict):
        raise ValueError("is not an object")
    header.pop(_METADATA, None)
    return _TENSORS.validate_python(header)


def _chosen(tensors: dict[str, _Tensor], key: str, called: str) -> _Tensor:
    if key in tensors:
        return tensors[key]
    if len(tensors) != 1:
        listed = ", ".join(map(printable, [*tensors][:8])) or "nothing"
        raise InvalidInput(called, f"cannot tell which tensor holds the rows: call it {key}, not {listed}")
    return next(iter(tensors.values()))


def _damaged(called: str) -> InvalidInput:
    return InvalidInput(called, "is not an intact .safetensors file")
