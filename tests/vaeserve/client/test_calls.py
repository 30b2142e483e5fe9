from functools import partial
from itertools import pairwise
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaeserve.client import calls
from vaeserve.client.call import PreparedCall, as_route
from vaeserve.client.description import Model, parse_model
from vaeserve.client.options import EncodeOutput, FloatType
from vaeserve.client.results import Decoded, Encoded, Timing
from vaeserve.errors import CallError, InvalidInput
from vaeserve.package.data_spec import DataSpec
from vaeserve.rows.images import encode_images
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb

PAIR = "a" * 64


def described(call_rows: int = 8, request_bytes: int = 1 << 20, latent: int = 2) -> Model:
    return parse_model(
        pb.Model(
            name="digits",
            version=3,
            fingerprint=PAIR,
            data=pb.DataSpec(
                kind=pb.DATA_KIND_TABLE, shape=[latent], dtype=pb.DATA_TYPE_FLOAT32, minimum=-100, maximum=100
            ),
            latent_shape=[latent],
            posterior=pb.POSTERIOR_GAUSSIAN,
            likelihood=pb.Likelihood(family="gaussian"),
            default_prior="standard",
            limits=pb.Limits(call_rows=call_rows, request_bytes=request_bytes, batch_rows=64),
        )
    )


def encode(
    output: EncodeOutput = "sample",
    seed: int | None = None,
    first_row: int = 0,
    data: npt.ArrayLike = ((0, 0),) * 3,
    dtype: FloatType = "float32",
) -> PreparedCall[pb.EncodeResponse, Encoded]:
    return calls.encode(data, output=output, seed=seed, first_row=first_row, dtype=dtype, model="digits", version=3)


decode = partial(calls.decode, model="digits", version=3)
sample = partial(calls.sample, model="digits", version=3)


@given(st.integers(1, 40), st.integers(1, 12), st.integers(400, 1200), st.integers(1, 9))
def test_requests_fit_both_limits_and_lose_no_row(rows: int, call_rows: int, request_bytes: int, latent: int) -> None:
    values = np.arange(rows * latent, dtype=np.float32).reshape(rows, latent) / 10
    model = described(call_rows, request_bytes, latent)
    requests = cast(list[pb.DecodeRequest], list(decode(values, fingerprint=PAIR).requests(model)))
    assert all(request.ByteSize() <= request_bytes for request in requests)
    assert all(request.latent.shape[0] <= call_rows for request in requests)
    assert b"".join(request.latent.data for request in requests) == values.tobytes()
    assert all((request.model, request.version, request.fingerprint) == ("digits", 3, PAIR) for request in requests)


def test_a_row_that_fits_no_request() -> None:
    call = decode(np.zeros((1, 100)))
    with pytest.raises(InvalidInput, match="latent: takes 400 bytes per row; the server's limit on a request is 500"):
        call.requests(described(request_bytes=500, latent=100))


@given(st.integers(1, 50), st.integers(1, 12), st.integers(0, 2**63 - 51), st.integers(0, 2**64 - 1))
def test_samples_are_paged_without_gaps(count: int, call_rows: int, first_row: int, seed: int) -> None:
    call = sample(count, seed=seed, first_row=first_row)
    requests = cast(list[pb.SampleRequest], list(call.requests(described(call_rows))))
    rows = [row for request in requests for row in range(request.first_row, request.first_row + request.count)]
    assert rows == list(range(first_row, first_row + count))
    assert all(request.count <= call_rows and request.seed == seed for request in requests)
    assert not any(request.HasField("temperature") for request in requests)


def encode_requests(
    output: EncodeOutput = "sample", seed: int | None = None, first_row: int = 0
) -> list[pb.EncodeRequest]:
    return cast(list[pb.EncodeRequest], list(encode(output, seed, first_row).requests(described(2))))


def test_seeds_are_picked_once_a_call_and_fit_a_json_number() -> None:
    picked = {request.seed for _ in range(20) for request in encode_requests()}
    assert len(picked) == 20
    assert max(picked) < 2**53


def test_only_draws_carry_seeds() -> None:
    outputs: tuple[EncodeOutput, ...] = ("mean", "moments")
    for output in outputs:
        assert not any(request.HasField("seed") or request.first_row for request in encode_requests(output))
        with pytest.raises(InvalidInput, match=f"output: is '{output}', which draws no noise"):
            encode(output, seed=7)
        with pytest.raises(InvalidInput, match="which draws no noise"):
            encode(output, first_row=7)


@pytest.mark.parametrize(("seed", "first_row"), [(0, 0), (2**64 - 1, 2**63 - 3), (np.uint64(5), np.int32(5))])
def test_ends_of_the_ranges(seed: int, first_row: int) -> None:
    requests = encode_requests(seed=seed, first_row=first_row)
    assert [request.first_row for request in requests] == [first_row, first_row + 2]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 2**64}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"seed": "7"}, "seed"),
        ({"first_row": -1}, "first_row"),
        ({"first_row": 2**63 - 2}, "first_row"),
        ({"output": "median"}, "output"),
        ({"output": ["mean"]}, "output"),
        ({"data": [[1, 2], [3]]}, "data"),
        ({"data": [["a", "b"]]}, "data"),
        ({"data": []}, "data"),
        ({"data": 7}, "data"),
    ],
)
def test_encoding_out_of_range(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as err:
        encode(**options)
    assert err.value.field == field


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"count": 0}, "count"),
        ({"count": -5}, "count"),
        ({"count": 2**64}, "count"),
        ({"count": 1.0}, "count"),
        *(
            ({"temperature": value}, "temperature")
            for value in (0, -1, np.nan, np.inf, -1e300, 1e300, 1e-300, 1.1e6, "hot", "0.5", [1])
        ),
        ({"prior": "\ud800"}, "prior"),
        ({"prior": b"standard"}, "prior"),
        ({"prior": None}, "prior"),
        ({"output": "mean"}, "output"),
    ],
)
def test_sampling_out_of_range(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as err:
        sample(**{"count": 1, **options})
    assert err.value.field == field
    assert str(err.value).isprintable()


@pytest.mark.parametrize("temperature", [1e-6, 1e6, 2, np.float32(0.5), np.int64(3)])
def test_temperatures(temperature: float) -> None:
    (request,) = cast(list[pb.SampleRequest], list(sample(1, temperature=temperature).requests(described())))
    assert request.temperature == np.float32(temperature)


@pytest.mark.parametrize("fingerprint", ["\ud800", b"\xff", 7])
def test_fingerprints_that_are_no_text(fingerprint: str) -> None:
    with pytest.raises(InvalidInput, match="fingerprint: is "):
        decode(np.zeros((1, 2)), fingerprint=fingerprint)


@pytest.mark.parametrize("version", [-1, 2**32, 1.5])
def test_versions_out_of_range(version: int) -> None:
    with pytest.raises(InvalidInput, match="version"):
        as_route("", version)


@pytest.mark.parametrize("model", ["\ud800", b"\xff", b"digits", None])
def test_names_that_are_no_text(model: str) -> None:
    with pytest.raises(InvalidInput, match="model: is "):
        as_route(model, 0)


def shown(call_rows: int = 8, request_bytes: int = 1 << 20) -> Model:
    """A model of images."""
    data = DataSpec(kind="image", shape=(8, 8, 1), dtype="uint8", minimum=0, maximum=16)
    return described(call_rows, request_bytes).model_copy(update={"data": data})


ROWS = np.random.default_rng(0).integers(0, 17, (40, 8, 8, 1), np.uint8)
IMAGES = encode_images(ROWS, shown().data)


@given(st.integers(1, 40), st.integers(1, 12), st.integers(400, 2000))
def test_images_fit_both_limits_and_none_is_lost(rows: int, call_rows: int, request_bytes: int) -> None:
    call = encode("sample", data=IMAGES[:rows], first_row=3)
    requests = cast(list[pb.EncodeRequest], list(call.requests(shown(call_rows, request_bytes))))
    assert all(request.ByteSize() <= request_bytes for request in requests)
    assert all(len(request.images.images) <= call_rows for request in requests)
    assert [image for request in requests for image in request.images.images] == IMAGES[:rows]
    for one, following in pairwise(requests):  # a part is left only when it is full
        longer = one.ByteSize() + len(following.images.images[0]) + 134 + 6 * len(one.images.images)  # at most
        assert len(one.images.images) == call_rows or longer > request_bytes
    starts = np.cumsum([3] + [len(request.images.images) for request in requests])
    assert [request.first_row for request in requests] == starts[:-1].tolist()


@pytest.mark.parametrize("data", [IMAGES, tuple(IMAGES), np.array([*IMAGES, None], object)[:-1]])
def test_sequences_of_images(data: npt.ArrayLike) -> None:
    requests = cast(list[pb.EncodeRequest], list(encode("mean", data=data).requests(shown(64))))
    assert [list(request.images.images) for request in requests] == [IMAGES]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (IMAGES[0], "data: is a single image, must be a sequence of them"),
        ([IMAGES[0], 3], "data: holds .*, must hold numbers"),
        (np.array(IMAGES), "data: holds .*, must hold numbers"),
        ([IMAGES[0], b""], r"data\[1\]: is not a PNG, JPEG or WebP"),
        (
            [*IMAGES[:9], IMAGES[9] + bytes(600)],
            r"data\[9\]: takes 7\d\d bytes; the server's limit on a request is 800",
        ),
    ],
)
def test_images_that_are_not_sent(data: npt.ArrayLike, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        encode("mean", data=data).requests(shown(request_bytes=800))


def test_a_model_of_tables_takes_no_images() -> None:
    with pytest.raises(InvalidInput, match=r"data: is images, the model takes arrays: table rows of shape \[2\]"):
        encode("mean", data=IMAGES).requests(described())


def test_images_in_replies_are_objects() -> None:
    replies = [pb.DecodeResponse(fingerprint=PAIR, images=pb.EncodedImages(images=part)) for part in ([b"a\0"], [b"b"])]
    output = decode(np.zeros((2, 2)), output="png").join(described(), replies).output
    assert (output.shape, output.tolist()) == ((2,), [b"a\0", b"b"])
    with pytest.raises(CallError, match="answered 1 rows of images where 2 were asked for"):
        decode(np.zeros((2, 2)), output="png").join(described(), replies[:1])


def test_float16_is_sent_as_it_is_given_and_answered_as_it_is_asked_for() -> None:
    short = np.array([[1, 2.5]], np.float16)
    call = decode(short, dtype="float16")
    (request,) = cast(list[pb.DecodeRequest], list(call.requests(described())))
    assert (request.latent.dtype, len(request.latent.data)) == (pb.DATA_TYPE_FLOAT16, 4)
    assert request.dtype == pb.DATA_TYPE_FLOAT16
    joined = call.join(described(), [pb.DecodeResponse(fingerprint=PAIR, data=to_message(short))])
    np.testing.assert_array_equal(joined.output, short, strict=True)
    (request,) = cast(
        list[pb.DecodeRequest], list(decode(short.astype(np.float32), dtype="float16").requests(described()))
    )
    assert request.latent.dtype == pb.DATA_TYPE_FLOAT32
    counts = decode(short, dtype="float16").join(
        shown(), [pb.DecodeResponse(fingerprint=PAIR, data=to_message(np.zeros((1, 8, 8, 1), np.uint8)))]
    )
    assert counts.output.dtype == np.uint8
    with pytest.raises(InvalidInput, match="dtype: is 'float64', must be one of float32, float16"):
        decode(short, dtype="float64")  # type: ignore[arg-type]  # wrong on purpose
    encoded = pb.EncodeResponse(fingerprint=PAIR, latent=to_message(short))
    assert encode("mean", data=[[0, 0]], dtype="float16").join(described(), [encoded]).latent.dtype == np.float16


def decoded(rows: int, fingerprint: str = PAIR, **timing: int) -> pb.DecodeResponse:
    return pb.DecodeResponse(
        fingerprint=fingerprint, timing=pb.Timing(**timing), data=to_message(np.zeros((rows, 2), np.float32))
    )


def join_decoded(*replies: pb.DecodeResponse, rows: int = 5) -> Decoded:
    return decode(np.zeros((rows, 2))).join(described(), replies)


def test_joining_adds_times_up() -> None:
    joined = join_decoded(
        decoded(3, queued_microseconds=5, running_microseconds=100, batch_rows=9),
        decoded(2, queued_microseconds=7, running_microseconds=200, batch_rows=4),
    )
    assert joined.output.shape == (5, 2)
    assert joined.fingerprint == PAIR
    assert joined.timing == pytest.approx(Timing(12e-6, 300e-6, 9))


@pytest.mark.parametrize(
    ("replies", "code", "said"),
    [
        ([decoded(3), decoded(2, "b" * 64)], "ABORTED", "replaced"),
        ([decoded(3), decoded(3)], "INTERNAL", "answered 6 rows of data where 5 were asked for"),
        ([pb.DecodeResponse()], "INTERNAL", "has no usable data"),
        (
            [pb.DecodeResponse(data=pb.Tensor(dtype=pb.DATA_TYPE_FLOAT32, shape=[5, 2], data=b"short"))],
            "INTERNAL",
            "holds 5 bytes",
        ),
        (
            [pb.DecodeResponse(data=pb.Tensor(dtype=pb.DATA_TYPE_UINT8, shape=[5, -1, -1], data=b"short"))],
            "INTERNAL",
            "no usable data",
        ),
        (
            [pb.DecodeResponse(data=pb.Tensor(dtype=pb.DATA_TYPE_UINT8, shape=[5], data=b"short")), decoded(0)],
            "ABORTED",
            "replaced",
        ),
    ],
)
def test_replies_that_cannot_be_joined(replies: list[pb.DecodeResponse], code: str, said: str) -> None:
    with pytest.raises(CallError, match=said) as err:
        join_decoded(*replies)
    assert err.value.code == code


FLOATS, BYTES = (to_message(np.zeros((5, 2), dtype)) for dtype in (np.float32, np.uint8))
WIDE = to_message(np.zeros((5, 3), np.float32))


@pytest.mark.parametrize(("tensor", "said"), [(BYTES, "dtype: is DATA_TYPE_UINT8"), (WIDE, r"shape: is \[5, 3\]")])
def test_replies_that_are_not_the_models(tensor: pb.Tensor, said: str) -> None:
    rows = np.zeros((5, 2))
    encoded = pb.EncodeResponse(fingerprint=PAIR, latent=FLOATS, log_variance=tensor)
    drawn = pb.SampleResponse(fingerprint=PAIR, expectation=tensor)
    joins = (
        lambda: encode("moments", data=rows).join(described(), [encoded]),
        lambda: decode(rows).join(described(), [pb.DecodeResponse(fingerprint=PAIR, data=tensor)]),
        lambda: sample(5, output="expectation").join(described(), [drawn]),
    )
    for join in joins:
        with pytest.raises(CallError, match=f"has no usable .*{said}") as err:
            join()
        assert err.value.code == "INTERNAL"


def test_replies_of_a_pair_that_was_not_described() -> None:
    reply = pb.DecodeResponse(fingerprint="b" * 64, data=WIDE)
    assert decode(np.zeros((5, 2))).join(described(), [reply]).output.shape == (5, 3)
    reply = pb.DecodeResponse(fingerprint="b" * 64, expectation=BYTES)
    with pytest.raises(CallError, match="dtype: is DATA_TYPE_UINT8"):
        decode(np.zeros((5, 2)), output="expectation").join(described(), [reply])


def plain() -> pb.Model:
    """Returns the least that is a model."""
    return pb.Model(
        name="m",
        version=1,
        fingerprint=PAIR,
        data=pb.DataSpec(kind=pb.DATA_KIND_TABLE, shape=[2], dtype=pb.DATA_TYPE_FLOAT32, maximum=1),
        latent_shape=[2],
        posterior=pb.POSTERIOR_NONE,
        limits=pb.Limits(call_rows=1, request_bytes=1),
    )


def test_figures_are_described_in_the_order_of_their_names() -> None:
    metrics = {f"metric_{number:02}": float(number) for number in range(40)}
    message = plain()
    message.likelihood.CopyFrom(pb.Likelihood(family="f", constants=metrics))
    message.metrics.update(dict(reversed(metrics.items())))
    model = parse_model(message)
    assert list(model.metrics) == list(model.likelihood.constants) == list(metrics)


def test_encoded_latents_insist_on_their_pair() -> None:
    encoded = Encoded(np.zeros((1, 2), np.float32), None, None, "c" * 64, Timing(0, 0, 0))
    for given_, sent in ((None, "c" * 64), ("", ""), ("d" * 64, "d" * 64)):
        (request,) = cast(list[pb.DecodeRequest], list(decode(encoded, fingerprint=given_).requests(described())))
        assert request.fingerprint == sent


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (pb.Model(limits=pb.Limits(call_rows=-8)), "Limits.call_rows"),
        (pb.Model(data=pb.DataSpec(dtype=7)), "DataSpec.dtype"),  # type: ignore[arg-type]
        (pb.Model(posterior=7), "Model.posterior"),  # type: ignore[arg-type]
        (pb.Model(latent_shape=[0]), "Model.latent_shape"),
    ],
)
def test_descriptions_that_are_not_understood(change: pb.Model, said: str) -> None:
    message = plain()
    assert parse_model(message).posterior == "none"
    message.MergeFrom(change)
    with pytest.raises(CallError, match=said):
        parse_model(message)
