from collections.abc import Callable
from contextlib import suppress
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from vaeserve.client.given import as_rows
from vaeserve.errors import InvalidInput, PreconditionFailed
from vaeserve.package.manifest import DataSpec
from vaeserve.rows.tensors import (
    Array,
    fit_data,
    fit_latent,
    parse_data,
    parse_latent,
    to_array,
    to_float16,
    to_message,
)
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
        parse_latent(message, "latent", (3,))
    assert err.value.field == field


def test_data_out_of_range() -> None:
    rows = np.zeros((2, 2, 2, 1), np.uint8)
    assert parse_data(to_message(rows), "data", DIGITS).shape == rows.shape
    rows[1, 0, 1, 0] = 17
    with pytest.raises(InvalidInput, match=r"^data\.data: 17 in row 1 at \[0, 1, 0\] must lie in \[0, 16\]$"):
        parse_data(to_message(rows), "data", DIGITS)


def test_missing_values_only_where_allowed() -> None:
    rows = np.array([[0, np.nan, 1]], np.float32)
    assert np.isnan(parse_data(to_message(rows), "data", GAPPY)[0, 1])
    with pytest.raises(InvalidInput, match=r"^data\.data: nan in row 0"):
        parse_data(to_message(rows), "data", TABLE)
    with pytest.raises(InvalidInput, match="inf in row 0"):
        parse_data(to_message(np.array([[0, np.inf, 1]], np.float32)), "data", GAPPY)


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
        lambda: parse_latent(message, "latent", (3,)),
        lambda: parse_data(message, "data", DIGITS),
        lambda: parse_data(message, "data", GAPPY),
    ]
    for parse in parsers:
        with suppress(InvalidInput):
            assert parse().ndim in (2, 4)


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.float64, np.float32, np.uint8, bool])
def test_users_values_are_converted_where_nothing_is_lost(dtype: type) -> None:
    rows: Array = np.ones((3, 2, 2, 1), dtype)
    fitted = fit_data(as_rows(rows, "data"), "data", DIGITS)
    assert fitted.dtype == np.uint8
    assert fitted.sum() == 12
    assert fit_data(as_rows([[1, 2, 3]], "data"), "data", TABLE).dtype == np.float32


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3.7, r"data: 3\.7 in row 1 at \[0, 0, 0\] cannot be uint8"),
        (-1, "-1 in row 1"),
        (256, "256 in row 1"),
        (np.nan, "nan in row 1"),
        (17, r"17 in row 1 at \[0, 0, 0\] must lie in \[0, 16\]"),
    ],
)
def test_users_values_that_would_change(value: float, said: str) -> None:
    rows = np.zeros((2, 2, 2, 1), type(value))
    rows[1, 0, 0, 0] = value
    with pytest.raises(InvalidInput, match=said):
        fit_data(rows, "data", DIGITS)


def test_float64_latents_are_rounded() -> None:
    given_ = np.array([[0.1, 0.2, 0.3]])
    assert fit_latent(given_, "latent", (3,)).tolist() == given_.astype(np.float32).tolist()


@pytest.mark.parametrize("value", [1e300, np.inf, np.nan, 2**24 + 1, 2**63 - 1, 2**64 - 1])
def test_numbers_that_float32_cannot_hold(value: float) -> None:
    with pytest.raises(InvalidInput, match=r"^latent: .* in row 0 at \[0\]"):
        fit_latent(as_rows([[value]], "latent"), "latent", (1,))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros(3), r"single row of shape \[3\], must be \[rows, 3\]: add a first axis"),
        (np.zeros((2, 4)), r"has shape \[2, 4\], must be \[rows, 3\]"),
        (np.zeros((2, 3, 1)), "has shape"),
        (np.zeros((0, 3)), "has no rows"),
        (np.float32(1), "is a single number"),
        ([[1, 2], [3]], "differ in length"),
        ([["a", "b", "c"]], "must hold numbers"),
        (np.array([[None, 1, 2]]), "holds object"),
        (np.zeros((1, 3), complex), "holds complex128"),
    ],
)
def test_users_arrays_of_another_kind(values: npt.ArrayLike, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as err:
        fit_latent(as_rows(values, "latent"), "latent", (3,))
    assert err.value.field == "latent"


def test_float16_is_taken_where_float32_is() -> None:
    short = np.array([[1, -2.5, 1e-7]], np.float16)
    parsed = parse_latent(to_message(short), "latent", (3,))
    np.testing.assert_array_equal(parsed, short.astype(np.float32), strict=True)
    np.testing.assert_array_equal(parse_data(to_message(short), "data", TABLE), parsed, strict=True)
    with pytest.raises(InvalidInput, match=r"is DATA_TYPE_FLOAT16, must be DATA_TYPE_UINT8$"):
        parse_data(to_message(np.zeros((1, 2, 2, 1), np.float16)), "data", DIGITS)
    with pytest.raises(InvalidInput, match=r"is DATA_TYPE_FLOAT32, must be DATA_TYPE_FLOAT16$"):
        to_array(LATENT, "latent", "float16", (3,))
    with pytest.raises(InvalidInput, match=r"holds 12 bytes, shape \[2, 3\] takes 24"):
        parse_latent(pb.Tensor(dtype=LATENT.dtype, shape=[2, 3], data=bytes(12)), "latent", (3,))


@given(st.lists(st.floats(width=32), min_size=1, max_size=20))
def test_float16_holds_the_nearest_value_or_says_so(values: list[float]) -> None:
    rows = np.array([values], np.float32)
    try:
        short = to_float16(rows, "latent")
    except PreconditionFailed as exc:
        assert exc.reason == "FLOAT16_OVERFLOW"
        assert np.abs(rows[np.isfinite(rows)]).max() >= 65_520
        return
    assert short.dtype == np.float16
    np.testing.assert_array_equal(np.isfinite(short), np.isfinite(rows))
    with np.errstate(invalid="ignore"):
        wrong = np.abs(short.astype(np.float64) - rows) > np.maximum(np.abs(rows) * 2.0**-11, 2.0**-25)
    assert not wrong.any()


def test_what_float16_cannot_hold_names_its_row() -> None:
    rows = np.array([[0, np.inf], [65_519, 65_520]], np.float32)
    with pytest.raises(PreconditionFailed, match=r"^latent: 65520\.0 in row 1 at \[1\] is too large for float16"):
        to_float16(rows, "latent")
    counts = np.array([[255]], np.uint8)
    assert to_float16(counts, "data") is counts


def test_users_float16_stays_as_it_is() -> None:
    short = np.array([[1, 2.5, -3]], np.float16)
    for fitted in (fit_latent(short, "latent", (3,)), fit_data(short, "data", TABLE)):
        np.testing.assert_array_equal(fitted, short, strict=True)
    assert fit_data(np.ones((1, 2, 2, 1), np.float16), "data", DIGITS).dtype == np.uint8
    wide = DataSpec(kind="table", shape=(3,), dtype="float32", minimum=-1e6, maximum=1e6)
    assert fit_data(short, "data", wide).dtype == np.float16
    for value in (np.inf, np.nan):
        with pytest.raises(InvalidInput, match=r"latent: .* must be finite"):
            fit_latent(np.full((1, 3), value, np.float16), "latent", (3,))
    with pytest.raises(InvalidInput, match=r"11\.0 in row 0"):
        fit_data(np.full((1, 3), 11, np.float16), "data", TABLE)
