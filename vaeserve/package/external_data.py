"""Whether an ONNX graph takes weights from other files, which no checksum covers.

This reads protobuf's bytes itself, because a server does not need the rest of `onnx`. It looks into the messages that
can hold a TensorProto, by their field numbers in onnx.proto, and steps over everything else.
"""

from collections.abc import Iterator
from typing import Final

_DATA_LOCATION, _EXTERNAL_DATA = 14, 13  # of a TensorProto
_WITHIN: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "training": {1: "graph", 2: "graph"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_MAXIMUM_DEPTH = 100  # of nested messages, which is protobuf's own limit


def check_weights(content: bytes) -> None:
    """Makes sure that a graph holds all its weights itself.

    Raises:
        ValueError: it takes weights from another file, or is not an ONNX graph.
    """
    waiting = [("model", memoryview(content), 0)]
    while waiting:
        kind, message, depth = waiting.pop()
        if depth > _MAXIMUM_DEPTH:
            raise ValueError("is not an ONNX graph: too deep")
        for field, value in _fields(message):
            if kind == "tensor":
                if field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value != 0):
                    raise ValueError("takes weights from another file; a package's graph must hold its own")
            elif (inner := _WITHIN[kind].get(field)) and isinstance(value, memoryview):
                waiting.append((inner, value, depth + 1))


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yields each field of a message: its number, and its value if that is a varint or bytes, else 0."""
    place, end = 0, len(message)
    while place < end:
        key, place = _varint(message, place)
        field, wire = key >> 3, key & 7
        value: int | memoryview = 0
        if wire == _VARINT:
            value, place = _varint(message, place)
        elif wire == _BYTES:
            size, place = _varint(message, place)
            value, place = message[place : place + size], place + size
        elif wire in (_FIXED_32, _FIXED_64):
            place += 4 if wire == _FIXED_32 else 8
        else:
            raise ValueError("is not an ONNX graph")
        if place > end or not 0 < field < 2**29:
            raise ValueError("is not an ONNX graph, or was cut short")
        yield field, value


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Returns a varint, which holds 7 bits in each byte, and the place after it."""
    value = 0
    for count, byte in enumerate(message[place : place + 10]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value, place + count + 1
    raise ValueError("is not an ONNX graph, or was cut short")
