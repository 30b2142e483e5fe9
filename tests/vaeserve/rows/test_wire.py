"""Messages with tensors on the wire: what protobuf reads is what was put in."""

import numpy as np
import pytest

from vaeserve.package.row_spec import Array
from vaeserve.rows.tensors import to_message
from vaeserve.rows.wire import TensorMessage, serialized
from vaeserve.v1 import vae_pb2 as pb

ROWS = np.arange(5 * 3 * 70).reshape(5, 3, 70)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float16"])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_protobuf_reads_the_same_message_as_if_it_had_made_it(dtype: str, rows: int) -> None:
    array = ROWS[:rows].astype(dtype)
    message = TensorMessage(pb.DecodeResponse(fingerprint="abc"), {"data": [array]}).serialize()
    assert pb.DecodeResponse.FromString(message.join()) == pb.DecodeResponse(fingerprint="abc", data=to_message(array))
    assert message.size == len(message.join())


@pytest.mark.parametrize(
    "array",
    [ROWS.astype("float32")[::2], ROWS.astype("float32").T, ROWS.astype(">f4"), ROWS.astype("float32")[1:4]],
    ids=["every other row", "transposed", "high bytes first", "a view"],
)
def test_values_travel_in_the_order_of_the_axes_with_low_bytes_first(array: Array) -> None:
    response = pb.DecodeResponse.FromString(TensorMessage(pb.DecodeResponse(), {"data": [array]}).serialize().join())
    values = np.frombuffer(response.data.data, "<f4").reshape(response.data.shape)
    np.testing.assert_array_equal(values, array)


def test_several_tensors_and_messages_within_messages() -> None:
    latent, log_variance = np.ones((2, 3), "float32"), np.zeros((2, 3), "float16")
    reply = TensorMessage(pb.EncodeResponse(seed=7), {"latent": [latent], "log_variance": [log_variance]})
    inner = reply.serialize().within(pb.Reply(id=300), "encode")
    outer = inner.within(pb.CallStreamResponse(), "replies").join()
    both = pb.CallStreamResponse.FromString(serialized([outer, outer]).join())
    assert [each.id for each in both.replies] == [300, 300]
    assert both.replies[1].encode == reply.whole()


def test_parts_become_one_tensor() -> None:
    array = ROWS.astype("float32")
    message = TensorMessage(pb.DecodeResponse(), {"data": [array[:2], array[2:3], array[3:]]})
    assert pb.DecodeResponse.FromString(message.serialize().join()).data == to_message(array)
    assert message.whole().data == to_message(array)
