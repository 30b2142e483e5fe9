"""Writes safetensors files whose bytes depend on their content alone.

The library's own writer puts the metadata in an order that differs from one process to the next. The format: the
header's length, 8 bytes, little-endian; the header, JSON; then the tensors, one after another.
"""

import json
import struct
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

from vaeserve.package.row_spec import Array

_ALIGNMENT = 8  # of the first tensor; the header is filled up with spaces
_TYPES = {"float32": "F32", "float16": "F16", "uint8": "U8", "uint16": "U16", "int64": "I64"}


def write_tensors(file: BinaryIO, tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Writes tensors with their metadata. Those of wide types come first, so that each lies where its type wants it.

    Args:
        file: open for writing.
        tensors: by key; float32, float16, uint8, uint16 or int64.
        metadata: texts by key.
    """
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0]))
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    end = 0
    for key, tensor in ordered:
        header[key] = {
            "dtype": _TYPES[tensor.dtype.name],
            "shape": list(tensor.shape),
            "data_offsets": [end, end + tensor.nbytes],
        }
        end += tensor.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    file.write(struct.pack("<Q", len(text)) + text)
    for _, tensor in ordered:
        little = tensor.astype(tensor.dtype.newbyteorder("<"), copy=False)
        file.write(np.ascontiguousarray(little).tobytes())
