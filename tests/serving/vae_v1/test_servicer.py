"""Every RPC over a real connection, and what bad input gets."""

import asyncio
import math
from collections.abc import Callable
from typing import Any, cast

import grpc
import numpy as np
import pytest
from google.rpc.error_details_pb2 import BadRequest
from scipy.stats import binom

from serving.batching.device import Device
from serving.engine.rows import LatentRows
from serving.models.loading import load
from serving.models.registry import Models
from serving.models.served import serve_model
from serving.settings import Settings
from tests.serving.conftest import submit
from tests.support.in_process import server_of
from tests.support.servers import status_of
from vaeserve.package.row_spec import Array
from vaeserve.rows.noise import Purpose, RowRange, standard_normals
from vaeserve.rows.tensors import to_array, to_message
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

DATA = np.random.default_rng(0).integers(0, 17, (5, 4, 4, 1), np.uint8)
LATENT = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
PIXELS = (4, 4, 1)


def test_get_model_describes_the_package(stub: VaeServiceStub) -> None:
    model = stub.GetModel(pb.GetModelRequest()).model
    assert (model.name, model.version, list(model.latent_shape)) == ("tiny", 1, [3])
    assert (model.data.kind, model.data.dtype) == (pb.DATA_KIND_IMAGE, pb.DATA_TYPE_UINT8)
    assert (model.data.minimum, model.data.maximum, list(model.data.shape)) == (0, 16, [4, 4, 1])
    assert (model.provider, model.default_prior) == ("cpu", "standard")
    assert model.limits.call_rows == 16_384
    assert stub.GetModel(pb.GetModelRequest(model="tiny", version=1)).model == model
    assert list(stub.ListModels(pb.ListModelsRequest()).models) == [model]


def test_encode_answers_mean_moments_and_draw(stub: VaeServiceStub) -> None:
    request = pb.EncodeRequest(data=to_message(DATA))
    mean = stub.Encode(request)
    assert not mean.HasField("seed")
    assert not mean.HasField("log_variance")
    request.output = pb.ENCODE_OUTPUT_MOMENTS
    moments = stub.Encode(request)
    assert moments.latent == mean.latent
    log_variance = to_array(moments.log_variance, "log_variance", "float32", (3,))
    request.output, request.seed, request.first_row = pb.ENCODE_OUTPUT_SAMPLE, 9, 100
    draw = stub.Encode(request)
    assert draw.seed == 9
    noise = standard_normals(Purpose.POSTERIOR, [RowRange(9, 100, 5)], 3)
    expected = to_array(mean.latent, "latent", "float32", (3,)) + np.exp(0.5 * log_variance) * noise
    np.testing.assert_allclose(to_array(draw.latent, "latent", "float32", (3,)), expected, rtol=1e-6)


def test_decode_answers_data_and_expectation(stub: VaeServiceStub) -> None:
    request = pb.DecodeRequest(latent=to_message(LATENT))
    data = to_array(stub.Decode(request).data, "data", "uint8", PIXELS)
    request.output = pb.DECODE_OUTPUT_EXPECTATION
    reply = stub.Decode(request)
    assert reply.WhichOneof("output") == "expectation"
    expectation = to_array(reply.expectation, "expectation", "float32", PIXELS)
    np.testing.assert_array_equal(data, np.round(expectation))


def test_decode_insists_on_the_fingerprint(stub: VaeServiceStub) -> None:
    fingerprint = stub.GetModel(pb.GetModelRequest()).model.fingerprint
    request = pb.DecodeRequest(latent=to_message(LATENT), fingerprint=fingerprint)
    assert stub.Decode(request).fingerprint == fingerprint
    request.fingerprint = "0" * 64
    with pytest.raises(grpc.RpcError) as refused:
        stub.Decode(request)
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION


def test_sample_is_the_decoded_noise(stub: VaeServiceStub) -> None:
    reply = stub.Sample(pb.SampleRequest(count=4, seed=7, first_row=2, temperature=0.5, include_latent=True))
    latent = to_array(reply.latent, "latent", "float32", (3,))
    np.testing.assert_array_equal(latent, standard_normals(Purpose.PRIOR, [RowRange(7, 2, 4)], 3) * np.float32(0.5))
    assert stub.Decode(pb.DecodeRequest(latent=reply.latent)).data == reply.data
    assert reply.seed == 7
    assert not stub.Sample(pb.SampleRequest(count=1)).HasField("latent")


def _floats(tensor: pb.Tensor, *shape: int) -> Array:
    return to_array(tensor, "reply", "float32", shape)


def test_reconstruct_answers_rows_and_their_scores(stub: VaeServiceStub) -> None:
    moments = stub.Encode(pb.EncodeRequest(data=to_message(DATA), output=pb.ENCODE_OUTPUT_MOMENTS))
    mean, log_variance = _floats(moments.latent, 3), _floats(moments.log_variance, 3)
    decoded = stub.Decode(pb.DecodeRequest(latent=moments.latent, output=pb.DECODE_OUTPUT_EXPECTATION))
    expectation = _floats(decoded.expectation, *PIXELS).astype(np.float64)
    reply = stub.Reconstruct(pb.ReconstructRequest(data=to_message(DATA), output=pb.DECODE_OUTPUT_EXPECTATION))
    assert reply.expectation == decoded.expectation
    assert not reply.HasField("seed")
    np.testing.assert_allclose(_floats(reply.squared_error), ((DATA - expectation) ** 2).sum((1, 2, 3)), rtol=1e-5)
    kl = 0.5 * (mean.astype(np.float64) ** 2 + np.exp(log_variance) - 1 - log_variance).sum(1)
    np.testing.assert_allclose(_floats(reply.kl), kl, rtol=1e-5)
    nats = np.asarray(binom.logpmf(DATA, 16, expectation / 16)).sum((1, 2, 3))
    np.testing.assert_allclose(_floats(reply.log_likelihood), nats, rtol=1e-4)
    np.testing.assert_allclose(_floats(reply.elbo), nats - kl, rtol=1e-4)


def test_reconstruct_draws_what_encode_draws(stub: VaeServiceStub) -> None:
    drawn = stub.Encode(pb.EncodeRequest(data=to_message(DATA), output=pb.ENCODE_OUTPUT_SAMPLE, seed=4, first_row=50))
    request = pb.ReconstructRequest(data=to_message(DATA), latent=pb.RECONSTRUCT_LATENT_SAMPLE, seed=4, first_row=50)
    whole = stub.Reconstruct(request)
    assert whole.data == stub.Decode(pb.DecodeRequest(latent=drawn.latent)).data
    assert whole.seed == 4
    tail = stub.Reconstruct(
        pb.ReconstructRequest(data=to_message(DATA[3:]), latent=pb.RECONSTRUCT_LATENT_SAMPLE, seed=4, first_row=53)
    )
    np.testing.assert_array_equal(_floats(whole.elbo)[3:], _floats(tail.elbo))


def test_a_seed_left_open_is_chosen_and_echoed(stub: VaeServiceStub) -> None:
    first, second = (stub.Sample(pb.SampleRequest(count=2)) for _ in range(2))
    assert first.seed != second.seed
    assert stub.Sample(pb.SampleRequest(count=2, seed=first.seed)).data == first.data
    drawn = stub.Encode(pb.EncodeRequest(data=to_message(DATA), output=pb.ENCODE_OUTPUT_SAMPLE))
    again = stub.Encode(pb.EncodeRequest(data=to_message(DATA), output=pb.ENCODE_OUTPUT_SAMPLE, seed=drawn.seed))
    assert again.latent == drawn.latent


def test_a_call_larger_than_a_batch_is_answered_whole_and_in_order(stub: VaeServiceStub) -> None:
    data = np.random.default_rng(2).integers(0, 17, (1000, 4, 4, 1), np.uint8)
    reply = stub.Encode(pb.EncodeRequest(data=to_message(data)))
    whole = to_array(reply.latent, "latent", "float32", (3,))
    one_by_one = [stub.Encode(pb.EncodeRequest(data=to_message(data[i : i + 1]))).latent for i in (0, 63, 64, 999)]
    for row, latent in zip((0, 63, 64, 999), one_by_one, strict=True):
        np.testing.assert_array_equal(whole[row : row + 1], to_array(latent, "latent", "float32", (3,)))
    assert reply.timing.batch_rows == 64
    assert reply.timing.running_microseconds > 0


def _latent(value: float) -> pb.Tensor:
    latent = LATENT.copy()
    latent[3, 1] = value
    return to_message(latent)


def _data(value: int) -> pb.Tensor:
    data = DATA.copy()
    data[2, 1, 3, 0] = value
    return to_message(data)


def _encode(stub: VaeServiceStub, **fields: object) -> pb.EncodeResponse:
    return stub.Encode(pb.EncodeRequest(**fields))  # type: ignore[arg-type]  # wrong on purpose


def _decode(stub: VaeServiceStub, **fields: object) -> pb.DecodeResponse:
    return stub.Decode(pb.DecodeRequest(**fields))  # type: ignore[arg-type]  # wrong on purpose


def _reconstruct(stub: VaeServiceStub, **fields: object) -> pb.ReconstructResponse:
    return stub.Reconstruct(pb.ReconstructRequest(**fields))  # type: ignore[arg-type]  # wrong on purpose


def _sample(stub: VaeServiceStub, **fields: object) -> pb.SampleResponse:
    return stub.Sample(pb.SampleRequest(**{"count": 1, **fields}))  # type: ignore[arg-type]  # wrong on purpose


# The parser of each RPC has tests of its own, with every field wrong once.
BAD = [
    (_encode, {"data": _data(17)}, "data.data", "17 in row 2 at [1, 3, 0] must lie in [0, 16]"),
    (_encode, {"data": _data(3), "output": 9}, "output", "9 is not an EncodeOutput"),
    (_decode, {}, "latent", "is missing"),
    (_decode, {"latent": _latent(math.nan)}, "latent.data", "nan in row 3 at [1] must be finite"),
    (_reconstruct, {"data": _data(3), "latent": 3}, "latent", "3 is not a ReconstructLatent"),
    (_sample, {"count": 2**62}, "count", "one call takes at most 16384: split it"),
    (_sample, {"prior": "gmm"}, "prior", "'gmm' is unknown, must be one of standard"),
]


@pytest.mark.parametrize(("call", "fields", "field", "said"), BAD)
def test_bad_input_names_the_field(
    stub: VaeServiceStub, call: Callable[..., object], fields: dict[str, object], field: str, said: str
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        call(stub, **fields)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    violations = BadRequest()
    assert status_of(refused.value).details[0].Unpack(violations)
    (violation,) = violations.field_violations
    assert violation.field == field
    assert said in violation.description
    assert refused.value.details() == f"{field}: {violation.description}"


@pytest.mark.parametrize("reference", [{"model": "nobody"}, {"version": 2}, {"model": "tiny", "version": 9}])
def test_an_unknown_model_is_not_found(stub: VaeServiceStub, reference: dict[str, object]) -> None:
    calls: list[Callable[[], object]] = [
        lambda: stub.GetModel(pb.GetModelRequest(**reference)),  # type: ignore[arg-type]  # a name or a version
        lambda: _encode(stub, data=_data(3), **reference),
        lambda: _decode(stub, latent=_latent(0), **reference),
        lambda: _sample(stub, **reference),
    ]
    for call in calls:
        with pytest.raises(grpc.RpcError) as refused:
            call()
        assert refused.value.code() == grpc.StatusCode.NOT_FOUND
        assert "tiny version 1 is" in str(refused.value.details())


@pytest.mark.parametrize(("is_only", "code"), [(True, "RESOURCE_EXHAUSTED"), (False, "INVALID_ARGUMENT")])
def test_under_load_a_near_deadline_is_refused_unread_where_it_is_known_which_model_is_meant(
    settings: Settings, is_only: bool, code: str
) -> None:
    async def run() -> str:
        models, device = Models(), Device()
        proved = load(settings.package, settings)
        served = serve_model(proved, device, settings)
        models.put(served)
        if not is_only:
            other = proved._replace(manifest=proved.manifest.model_copy(update={"name": "other"}))
            models.put(serve_model(other, device, settings))
        models.loaded()
        admission = served.decoder._admission
        await submit(served.decoder, LatentRows(LATENT, "data"))  # so that it knows how long batches take
        admission.recent_need = admission._slip_seconds[0] = 1000.0
        server, _ = server_of(models, settings)
        async with server, grpc.aio.insecure_channel(server.address) as channel:
            await server.ready()
            served.decoder._executor._running.add(cast(Any, None))  # it seems busy
            decode: Any = channel.unary_unary("/vae.v1.VaeService/Decode")
            try:
                await decode(b"not a message", timeout=60)
            except grpc.aio.AioRpcError as error:
                return error.code().name
            finally:
                served.decoder._executor._running.clear()
        raise AssertionError("the call was answered")

    assert asyncio.run(run()) == code
