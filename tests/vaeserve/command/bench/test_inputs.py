from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.servers import RunningServer
from vaeserve.client.blocking import Client
from vaeserve.client.call import Route
from vaeserve.client.description import Model
from vaeserve.command.bench.inputs import BenchInputs
from vaeserve.command.bench.plan import RPCS, RpcName
from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.row_spec import Array, LatentSpec
from vaeserve.rows.tensors import parse_rows
from vaeserve.v1 import vae_pb2 as pb

if TYPE_CHECKING:
    from tests.vaeserve.conftest import Server


@pytest.fixture
def model(client: Client) -> Model:
    """Takes at most 8 rows and 1 MiB a call."""
    return client.get_model()


def inputs(rpc: RpcName, model: Model, given: Array | None = None, seed: int = 0) -> BenchInputs:
    return BenchInputs(rpc, Route("digits", 1), model, seed, given)


@pytest.mark.parametrize("rpc", RPCS)
def test_requests_differ_and_the_seed_repeats_them(model: Model, rpc: RpcName) -> None:
    made = inputs(rpc, model).serialise(4)
    assert len(set(made)) == len(made) == 16
    assert made == inputs(rpc, model).serialise(4)
    assert made != inputs(rpc, model, seed=1).serialise(4)


def test_requests_name_the_model_and_the_rows(model: Model) -> None:
    sample = pb.SampleRequest.FromString(inputs("sample", model).serialise(3)[1])
    assert (sample.model, sample.version, sample.count, sample.first_row) == ("digits", 1, 3, 3)
    decode = pb.DecodeRequest.FromString(inputs("decode", model).serialise(3)[0])
    assert parse_rows(decode.latent, "latent", LatentSpec((2,))).shape == (3, 2)


specs = st.one_of(
    st.tuples(st.integers(0, 100), st.integers(101, 255)).map(
        lambda ends: DataSpec(kind="image", shape=(2, 2, 1), dtype="uint8", minimum=ends[0], maximum=ends[1])
    ),
    st.tuples(st.floats(-3e38, -1e-3), st.floats(1e-3, 3e38)).map(
        lambda ends: DataSpec(kind="table", shape=(5,), dtype="float32", minimum=ends[0], maximum=ends[1])
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(specs, st.integers(1, 8))
def test_made_up_rows_are_what_a_server_takes(model: Model, spec: DataSpec, rows: int) -> None:
    for content in islice(inputs("encode", model.model_copy(update={"data": spec})).serialise(rows), 3):
        request = pb.EncodeRequest.FromString(content)
        assert parse_rows(request.data, "data", spec).shape == (rows, *spec.shape)


def test_rows_of_a_file_are_sent_in_turn(model: Model) -> None:
    given = np.arange(6, dtype=np.float32).reshape(3, 2)
    first, second, *_ = inputs("decode", model, given).serialise(2)
    sent = [
        parse_rows(pb.DecodeRequest.FromString(content).latent, "latent", LatentSpec((2,)))
        for content in (first, second)
    ]
    assert np.concatenate(sent)[:, 0].tolist() == [0, 2, 4, 0]


def test_a_size_is_the_models_default_the_one_asked_for_or_that_of_the_rows(free_server: RunningServer) -> None:
    with Client(free_server.target) as client:
        free = client.get_model()
    make = partial(BenchInputs.of, to=Route("free", 1), model=free, seed=0)
    assert make("sample", data=None, size=None).size == (32, 48)
    assert make("encode", data=None, size=(16, 24)).size == (16, 24)
    assert make("decode", data=np.zeros((1, 4, 3, 2), np.float32), size=None).size == (24, 16)
    encode = pb.EncodeRequest.FromString(make("encode", data=None, size=(16, 24)).serialise(3)[0])
    assert list(encode.data.shape) == [3, 16, 24, 3]
    decode = pb.DecodeRequest.FromString(make("decode", data=None, size=(16, 24)).serialise(3)[0])
    assert list(decode.latent.shape) == [3, 4, 2, 3]
    sample = pb.SampleRequest.FromString(make("sample", data=None, size=(16, 24)).serialise(3)[0])
    assert (sample.size.height, sample.size.width) == (16, 24)
    with pytest.raises(InvalidInput, match="rows: is 257, the server takes at most 256 of 128 x 128 per call"):
        make("encode", data=None, size=(128, 128)).serialise(257)
    with pytest.raises(InvalidInput, match="rpc: is sample, and model free has no prior"):
        make("sample", model=free.model_copy(update={"priors": ()}), data=None, size=None)
    with pytest.raises(InvalidInput, match=r"size: is 17 x 16 pixels, height and width must be multiples of 8"):
        make("encode", data=None, size=(16, 17))


def test_what_does_not_fit_is_refused(server: "Server", client: Client) -> None:
    with pytest.raises(InvalidInput, match="rows: is 9, the server takes at most 8 per call"):
        inputs("sample", client.get_model()).serialise(9)
    with pytest.raises(InvalidInput, match=r"latent: has shape \[2, 3\]"):
        inputs("decode", client.get_model(), np.zeros((5, 3), np.float32)).serialise(2)
    server.script.model.limits.request_bytes = 500
    with pytest.raises(InvalidInput, match="rows: is 8, the server's limit on a request is 500 bytes"):
        inputs("encode", client.get_model()).serialise(8)
