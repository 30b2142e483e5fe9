from collections.abc import Callable
from contextlib import suppress
from random import Random

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.row_spec import Array, LatentSpec
from vaeserve.rows.tensors import parse_rows, to_array, to_message
from vaeserve.v1 import vae_pb2 as pb

DIGITS = DataSpec(kind="image", shape=(2, 2, 1), dtype="uint8", minimum=0, maximum=16)
TABLE = DataSpec(kind="table", shape=(3,), dtype="float32", minimum=-10, maximum=10)
GAPPY = DataSpec(kind="table", shape=(3,), dtype="float32", minimum=-10, maximum=10, missing_allowed=True)

shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


@given(shapes, st.sampled_from(["uint8", "float32", "float16"]), st.randoms(use_true_random=False))
def test_round_trip(shape: tuple[int, ...], dtype: str, random: Random) -> None:
    array = np.array([random.randrange(256) for _ in range(int(np.prod(shape)))]).astype(dtype).reshape(shape)
    parsed = to_array(to_message(array), "data", dtype, shape[1:])
    assert parsed.dtype == array.dtype
    np.testing.assert_array_equal(parsed, array)
    assert not parsed.flags.writeable


def test_layout_and_byte_order_do_not_matter() -> None:
    array = np.arange(6, dtype=">f4").reshape(3, 2).T
    message = to_message(array)
    assert message.data == np.array([0, 2, 4, 1, 3, 5], "<f4").tobytes()
    np.testing.assert_array_equal(to_array(message, "data", "float32", (3,)), array)


LATENT = to_message(np.zeros((2, 3), np.float32))


@pytest.mark.parametrize(
    ("message", "field", "said"),
    [
        (pb.Tensor(), "latent.dtype", "is DATA_TYPE_UNSPECIFIED, must be DATA_TYPE_FLOAT32"),
        (pb.Tensor(dtype=77), "latent.dtype", "is 77"),  # type: ignore[arg-type]
        (to_message(np.zeros((2, 3), np.uint8)), "latent.dtype", "is DATA_TYPE_UINT8"),
        (pb.Tensor(dtype=LATENT.dtype, data=LATENT.data), "latent.shape", r"is \[\], must be \[rows, 3\]"),
        (pb.Tensor(dtype=LATENT.dtype, shape=[6], data=LATENT.data), "latent.shape", r"is \[6\]"),
        (pb.Tensor(dtype=LATENT.dtype, shape=[3, 2], data=LATENT.data), "latent.shape", r"is \[3, 2\]"),
        (pb.Tensor(dtype=LATENT.dtype, shape=[0, 3]), "latent.shape", "has 0 rows"),
        (pb.Tensor(dtype=LATENT.dtype, shape=[-2, 3], data=LATENT.data), "latent.shape", "has -2 rows"),
        (pb.Tensor(dtype=LATENT.dtype, shape=[1] * 10**5), "latent.shape", "100000 axes"),
        (pb.Tensor(dtype=LATENT.dtype, shape=[2, 3], data=b"\0" * 23), "latent.data", "holds 23 bytes"),
        (pb.Tensor(dtype=LATENT.dtype, shape=[2**62, 3], data=b"\0" * 24), "latent.data", "holds 24 bytes"),
        (
            to_message(np.array([[0, 1, 2], [0, np.nan, 0]], np.float32)),
            "latent.data",
            r"nan in row 1 at \[1\] must be",
        ),
        (to_message(np.array([[0, 1, np.inf]], np.float32)), "latent.data", r"inf in row 0 at \[2\] must be finite"),
    ],
)
def test_malformed_latents(message: pb.Tensor, field: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as err:
        parse_rows(message, "latent", LatentSpec((3,)))
    assert err.value.field == field


def test_data_out_of_range() -> None:
    rows = np.zeros((2, 2, 2, 1), np.uint8)
    assert parse_rows(to_message(rows), "data", DIGITS).shape == rows.shape
    rows[1, 0, 1, 0] = 17
    with pytest.raises(InvalidInput, match=r"^data\.data: 17 in row 1 at \[0, 1, 0\] must lie in \[0, 16\]$"):
        parse_rows(to_message(rows), "data", DIGITS)


def test_missing_values_only_where_allowed() -> None:
    rows = np.array([[0, np.nan, 1]], np.float32)
    assert np.isnan(parse_rows(to_message(rows), "data", GAPPY)[0, 1])
    with pytest.raises(InvalidInput, match=r"^data\.data: nan in row 0"):
        parse_rows(to_message(rows), "data", TABLE)
    with pytest.raises(InvalidInput, match="inf in row 0"):
        parse_rows(to_message(np.array([[0, np.inf, 1]], np.float32)), "data", GAPPY)


@given(st.binary(max_size=40), st.integers(0, 60), st.booleans())
def test_mutated_messages_are_understood_or_refused(noise: bytes, place: int, cut: bool) -> None:
    wire = bytearray(LATENT.SerializeToString())
    place = min(place, len(wire))
    wire[place : len(wire) if cut else place + len(noise)] = noise
    message = pb.Tensor()
    try:
        message.ParseFromString(bytes(wire))
    except DecodeError:
        return
    parsers: list[Callable[[], Array]] = [
        lambda: parse_rows(message, "latent", LatentSpec((3,))),
        lambda: parse_rows(message, "data", DIGITS),
        lambda: parse_rows(message, "data", GAPPY),
    ]
    for parse in parsers:
        with suppress(InvalidInput):
            assert parse().ndim in (2, 4)


def test_float16_is_taken_where_float32_is() -> None:
    short = np.array([[1, -2.5, 1e-7]], np.float16)
    parsed = parse_rows(to_message(short), "latent", LatentSpec((3,)))
    np.testing.assert_array_equal(parsed, short.astype(np.float32), strict=True)
    np.testing.assert_array_equal(parse_rows(to_message(short), "data", TABLE), parsed, strict=True)
    with pytest.raises(InvalidInput, match=r"is DATA_TYPE_FLOAT16, must be DATA_TYPE_UINT8$"):
        parse_rows(to_message(np.zeros((1, 2, 2, 1), np.float16)), "data", DIGITS)
    with pytest.raises(InvalidInput, match=r"is DATA_TYPE_FLOAT32, must be DATA_TYPE_FLOAT16$"):
        to_array(LATENT, "latent", "float16", (3,))
    with pytest.raises(InvalidInput, match=r"holds 12 bytes, shape \[2, 3\] takes 24"):
        parse_rows(pb.Tensor(dtype=LATENT.dtype, shape=[2, 3], data=bytes(12)), "latent", LatentSpec((3,)))
