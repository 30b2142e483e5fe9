"""Writes tensors as `torch.save` does, without torch: a `.pt` file, which `torch.load` reads with its safe defaults.

The format: a zip archive of `data.pkl`, a pickle of the tensors whose storages are named, and of one file a storage.
"""

import pickle
import struct
import zipfile
from collections.abc import Mapping, Sequence
from typing import BinaryIO

import numpy as np

from vaeserve.package.row_spec import Array

_VERSION = b"3\n"  # of the format
_DATE = (1980, 1, 1, 0, 0, 0)  # the same in every file


def write_torch(file: BinaryIO, tensors: Mapping[str, Array]) -> None:
    """Writes a dictionary of float32 tensors.

    Args:
        file: open for writing.
        tensors: by key.
    """
    entries = {"data.pkl": _pickle(tensors), "byteorder": b"little", "version": _VERSION}
    for number, tensor in enumerate(tensors.values()):
        entries[f"data/{number}"] = np.ascontiguousarray(tensor, "<f4").tobytes()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(f"archive/{name}", _DATE), content)


def _pickle(tensors: Mapping[str, Array]) -> bytes:
    items = [_text(key) + _tensor(number, tensor.shape) for number, (key, tensor) in enumerate(tensors.items())]
    return pickle.PROTO + b"\x02" + pickle.EMPTY_DICT + pickle.MARK + b"".join(items) + pickle.SETITEMS + pickle.STOP


def _tensor(number: int, shape: Sequence[int]) -> bytes:
    """Returns the pickle of a contiguous tensor whose numbers are the storage of that number."""
    size = int(np.prod(shape))
    strides = [size // int(np.prod(shape[: axis + 1])) for axis in range(len(shape))]
    storage = _tuple(_text("storage"), _global("torch", "FloatStorage"), _text(str(number)), _text("cpu"), _int(size))
    no_hooks = _global("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE
    arguments = _tuple(
        storage + pickle.BINPERSID,
        _int(0),
        _tuple(*map(_int, shape)),
        _tuple(*map(_int, strides)),
        pickle.NEWFALSE,
        no_hooks,
    )
    return _global("torch._utils", "_rebuild_tensor_v2") + arguments + pickle.REDUCE


def _tuple(*items: bytes) -> bytes:
    return pickle.MARK + b"".join(items) + pickle.TUPLE


def _global(module: str, name: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def _text(text: str) -> bytes:
    content = text.encode()
    return pickle.BINUNICODE + struct.pack("<I", len(content)) + content


def _int(number: int) -> bytes:
    return pickle.BININT + struct.pack("<i", number)
