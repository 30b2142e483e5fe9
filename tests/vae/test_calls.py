import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae import calls
from vae.description import Catalogue, Model, Route, parse_model
from vae.errors import CallError, InvalidInput
from vae.replies import Decoded, Encoded, Timing
from vae.tensors import to_message
from vae.v1 import vae_pb2 as pb

ROUTE = Route("digits", 3)
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


@given(st.integers(1, 40), st.integers(1, 12), st.integers(400, 1200), st.integers(1, 9))
def test_requests_fit_both_limits_and_lose_no_row(rows: int, call_rows: int, request_bytes: int, latent: int) -> None:
    values = np.arange(rows * latent, dtype=np.float32).reshape(rows, latent) / 10
    model = described(call_rows, request_bytes, latent)
    requests = list(calls.decode(model, ROUTE, values, output="data", fingerprint=PAIR).requests)
    assert all(request.ByteSize() <= request_bytes for request in requests)
    assert all(request.latent.shape[0] <= call_rows for request in requests)
    assert b"".join(request.latent.data for request in requests) == values.tobytes()
    assert all((request.model, request.version, request.fingerprint) == ("digits", 3, PAIR) for request in requests)


def test_a_row_that_fits_no_request() -> None:
    with pytest.raises(InvalidInput, match="latent: takes 400 bytes a row; the server's limit on a request is 500"):
        calls.decode(described(request_bytes=500, latent=100), ROUTE, np.zeros((1, 100)), output="data", fingerprint="")


@given(st.integers(1, 50), st.integers(1, 12), st.integers(0, 2**63 - 51), st.integers(0, 2**64 - 1))
def test_samples_are_paged_without_gaps(count: int, call_rows: int, first_row: int, seed: int) -> None:
    draw = calls.Draw(count, seed, first_row)
    operation = calls.sample(described(call_rows), ROUTE, draw)
    requests = list(operation.requests)
    rows = [row for request in requests for row in range(request.first_row, request.first_row + request.count)]
    assert rows == list(range(first_row, first_row + count))
    assert all(request.count <= call_rows and request.seed == seed for request in requests)
    assert not any(request.HasField("temperature") for request in requests)


def encode(
    output: str = "sample", seed: int | None = None, first_row: int = 0, rows: int = 3
) -> list[pb.EncodeRequest]:
    values = np.zeros((rows, 2))
    operation = calls.encode(described(2), ROUTE, values, output=output, seed=seed, first_row=first_row)  # type: ignore[arg-type]
    return list(operation.requests)


def test_seeds_are_picked_once_a_call_and_fit_a_json_number() -> None:
    picked = {request.seed for _ in range(20) for request in encode()}
    assert len(picked) == 20
    assert max(picked) < 2**53


def test_only_draws_carry_seeds() -> None:
    for output in ("mean", "moments"):
        assert not any(request.HasField("seed") or request.first_row for request in encode(output))
        with pytest.raises(InvalidInput, match=f"output: is '{output}', which draws no noise"):
            encode(output, seed=7)
        with pytest.raises(InvalidInput, match="which draws no noise"):
            encode(output, first_row=7)


@pytest.mark.parametrize(("seed", "first_row"), [(0, 0), (2**64 - 1, 2**63 - 3), (np.uint64(5), np.int32(5))])
def test_ends_of_the_ranges(seed: int, first_row: int) -> None:
    assert [request.first_row for request in encode(seed=seed, first_row=first_row)] == [first_row, first_row + 2]


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
    ],
)
def test_options_out_of_range(options: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as err:
        encode(**options)  # type: ignore[arg-type]
    assert err.value.field == field


@pytest.mark.parametrize(
    ("count", "temperature", "field"),
    [
        (0, None, "count"),
        (-5, None, "count"),
        (2**64, None, "count"),
        (1.0, None, "count"),
        (1, 0, "temperature"),
        (1, -1, "temperature"),
        (1, np.nan, "temperature"),
        (1, np.inf, "temperature"),
        (1, 1e300, "temperature"),
        (1, 1e-300, "temperature"),
    ],
)
def test_samples_out_of_range(count: int, temperature: float, field: str) -> None:
    with pytest.raises(InvalidInput) as err:
        calls.sample(described(), ROUTE, calls.Draw(count, temperature=temperature))
    assert err.value.field == field


@pytest.mark.parametrize("version", [-1, 2**32, 1.5])
def test_versions_out_of_range(version: int) -> None:
    with pytest.raises(InvalidInput, match="version"):
        calls.get_model(Route("", version))


def decoded(rows: int, fingerprint: str = PAIR, **timing: int) -> pb.DecodeResponse:
    return pb.DecodeResponse(
        fingerprint=fingerprint, timing=pb.Timing(**timing), data=to_message(np.zeros((rows, 2), np.float32))
    )


def join_decoded(*replies: pb.DecodeResponse, rows: int = 5) -> Decoded:
    return calls.decode(described(), ROUTE, np.zeros((rows, 2)), output="data", fingerprint=None).join(replies)


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
        ([pb.DecodeResponse()], "INTERNAL", "holds no usable data"),
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


def test_encoded_latents_insist_on_their_pair() -> None:
    encoded = Encoded(np.zeros((1, 2), np.float32), None, None, "c" * 64, Timing(0, 0, 0))
    for given_, sent in ((None, "c" * 64), ("", ""), ("d" * 64, "d" * 64)):
        (request,) = calls.decode(described(), ROUTE, encoded, output="data", fingerprint=given_).requests
        assert request.fingerprint == sent


def test_catalogue_plans_only_with_what_it_knows() -> None:
    catalogue, model = Catalogue(), described()
    assert catalogue.plan(ROUTE, lambda known: known) is None
    assert catalogue.remember(ROUTE, model) is model
    assert catalogue.plan(ROUTE, lambda known: known) is model
    assert catalogue.plan(Route("", 0), lambda known: known) is None
    with pytest.raises(CallError), catalogue.doubting(ROUTE):
        raise CallError("UNAVAILABLE", "away")
    assert catalogue.plan(ROUTE, lambda known: known) is model
    with pytest.raises(CallError), catalogue.doubting(ROUTE):
        raise CallError("INVALID_ARGUMENT", "no")
    assert catalogue.plan(ROUTE, lambda known: known) is None


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
    message = pb.Model(
        name="m",
        version=1,
        fingerprint=PAIR,
        data=pb.DataSpec(kind=pb.DATA_KIND_TABLE, shape=[2], dtype=pb.DATA_TYPE_FLOAT32, maximum=1),
        latent_shape=[2],
        posterior=pb.POSTERIOR_NONE,
        limits=pb.Limits(call_rows=1, request_bytes=1),
    )
    assert parse_model(message).posterior == "none"
    message.MergeFrom(change)
    with pytest.raises(CallError, match=said):
        parse_model(message)
