"""Messages with tensors -> their bytes on the wire. Values are copied once, from their arrays into these bytes.

A message that held the values would be copied three times: into itself, out of it, and within it as it grows. The
fields of a message may come in any order, so those that hold tensors are put behind the others.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from vaeserve.package.row_spec import Array
from vaeserve.rows.arrays import join
from vaeserve.rows.tensors import little_endian, to_message, wire_type
from vaeserve.v1 import vae_pb2 as pb

M = TypeVar("M", bound=Message)

_LENGTH_DELIMITED = 2  # the wire type of bytes and of messages


class Serialized(NamedTuple):
    """The bytes of a message in pieces, which nothing has joined yet."""

    pieces: list[bytes | Array]
    size: int
    """Bytes in all of them."""

    def join(self) -> bytes:
        """Returns the bytes of the message."""
        return b"".join(self.pieces)  # type: ignore[arg-type]  # arrays are buffers, which their stub does not say

    def within(self, outer: Message, field: str) -> "Serialized":
        """Returns another message, of which this one becomes a field."""
        head = outer.SerializeToString() + _prefix(cast(Descriptor, outer.DESCRIPTOR), field, self.size)
        return Serialized([head, *self.pieces], len(head) + self.size)


def serialized(contents: Sequence[bytes]) -> Serialized:
    """Returns pieces that have no tensors in them, or copies."""
    return Serialized([*contents], sum(map(len, contents)))


class TensorMessage(NamedTuple, Generic[M]):
    """A message, and the tensors that its fields will hold."""

    message: M
    """All but the tensors."""
    tensors: dict[str, Sequence[Array]]
    """Arrays [rows, ...] of uint8, uint16, float32 or float16, by the field of type Tensor that will hold their rows.

    A call that ran in several batches has several, which need not be joined before.
    """

    def serialize(self) -> Serialized:
        """Returns the bytes of the whole message; they may change if an array does."""
        pieces: list[bytes | Array] = [self.message.SerializeToString()]
        size = len(pieces[0])
        for field, parts in self.tensors.items():
            rows, first = sum(map(len, parts)), parts[0]
            shape = (rows, *first.shape[1:])
            head = _tensor_head(cast(Descriptor, self.message.DESCRIPTOR), field, first.dtype.char, shape)
            pieces.append(head)
            pieces += map(little_endian, parts)
            size += len(head) + sum(part.nbytes for part in parts)
        return Serialized(pieces, size)

    def whole(self) -> M:
        """Returns the message with copies of the tensors."""
        for field, parts in self.tensors.items():
            getattr(self.message, field).CopyFrom(to_message(join(parts)))
        return self.message


@lru_cache(maxsize=4096)
def _tensor_head(outer: Descriptor, field: str, letter: str, shape: tuple[int, ...]) -> bytes:
    """Returns what precedes a tensor's values: the field that holds it, its type, its shape, and their length."""
    number, item_bytes = wire_type(letter)
    size = item_bytes
    for length in shape:
        size *= length
    head = pb.Tensor(dtype=number, shape=shape).SerializeToString() + _prefix(pb.Tensor.DESCRIPTOR, "data", size)
    return _prefix(outer, field, len(head) + size) + head


@lru_cache(maxsize=4096)
def _prefix(outer: Descriptor, field: str, size: int) -> bytes:
    """Returns what precedes a field that holds so many bytes."""
    return _varint(outer.fields_by_name[field].number << 3 | _LENGTH_DELIMITED) + _varint(size)


def _varint(number: int) -> bytes:
    """Returns a number in groups of seven bits, the lowest first; all but the last have the eighth bit set."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)
