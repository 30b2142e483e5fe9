"""A model with codes: what every way to it answers, and what is refused, on a real server."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.python import SourceOptions
from tests.support.make_coded_package import LEVELS, encode, make
from tests.support.packages import publish
from tests.support.servers import RunningServer, run_vae
from tests.support.servers import start as start_server
from vaeserve import Client, Local, jobs
from vaeserve.errors import CallError, InvalidInput
from vaeserve.rows.codes import latents_of
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

DATA = np.random.default_rng(5).integers(0, 17, (70, 4, 4, 1), np.uint8)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    directory = tmp_path_factory.mktemp("codes")
    make(directory / "coded")
    publish(directory / "tiny")
    running = start_server(directory)
    yield running
    assert "Traceback" not in running.stop()


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[Client]:
    with Client(server.target) as client:
        yield client


def test_codes_are_answered_alone_and_stand_for_the_latents(client: Client) -> None:
    described = client.get_model("coded")
    assert described.codes is not None
    assert described.codes.levels == LEVELS
    assert described.exactness is not None
    assert described.exactness.is_exact
    assert client.get_model("tiny").codes is None
    means, coded = (client.encode(DATA, output=output, model="coded") for output in ("mean", "codes"))
    assert (means.codes, coded.log_variance, coded.seed) == (None, None, None)
    assert coded.codes is not None
    assert coded.codes.dtype == np.uint16
    np.testing.assert_array_equal(coded.codes, encode(DATA)["codes"])
    np.testing.assert_array_equal(coded.latent.view("u4"), means.latent.view("u4"))
    np.testing.assert_array_equal(latents_of(coded.codes, LEVELS), coded.latent)
    half = client.encode(DATA, output="codes", dtype="float16", model="coded")
    assert (half.latent.dtype.name, half.codes is not None and half.codes.dtype.name) == ("float16", "uint16")


def test_the_response_holds_codes_and_no_latents(server: RunningServer) -> None:
    with grpc.insecure_channel(server.target) as channel:
        request = pb.EncodeRequest(model="coded", data=to_message(DATA), output=pb.ENCODE_OUTPUT_CODES)
        response = VaeServiceStub(channel).Encode(request)
    assert response.codes.dtype == pb.DATA_TYPE_UINT16
    assert len(response.codes.data) == 70 * 3 * 2
    assert not response.HasField("latent")


def test_a_rows_codes_are_the_same_however_they_are_asked_for(client: Client, tmp_path: Path) -> None:
    codes = client.encode(DATA, output="codes", model="coded").codes
    assert codes is not None
    ways = {
        "alone": [client.encode(DATA[row : row + 1], output="codes", model="coded") for row in range(70)],
        "stream": client.encode_stream([DATA[:1], DATA[1:64], DATA[64:]], output="codes", model="coded"),
    }
    with Local(make(tmp_path / "package").directory, threads=1, batch_rows=8) as local:
        ways["local"] = [local.encode(DATA, output="codes")]
    for way, results in ways.items():
        joined = np.concatenate([result.codes for result in results if result.codes is not None])
        np.testing.assert_array_equal(joined, codes, err_msg=way)


def test_codes_decode_as_the_latents_that_they_stand_for(client: Client) -> None:
    coded = client.encode(DATA, output="codes", model="coded")
    assert coded.codes is not None
    expected = client.decode(coded.latent, output="expectation", model="coded").output
    for answer in (
        client.decode(coded, output="expectation", model="coded"),
        client.decode(coded.codes.astype(int), codes=True, output="expectation", model="coded"),
        next(iter(client.decode_stream([coded.codes], codes=True, output="expectation", model="coded"))),
        client.decode(coded, codes=False, output="expectation", model="coded"),
    ):
        np.testing.assert_array_equal(answer.output.view("u4"), expected.view("u4"))


def test_what_is_not_codes_is_refused_by_name(client: Client, server: RunningServer) -> None:
    with pytest.raises(InvalidInput, match=r"^codes: 5 in row 0 at \[0\] must be below 5, the number of levels$"):
        client.decode([[5, 0, 0]], codes=True, model="coded")
    with pytest.raises(InvalidInput, match=r"^codes: are for models with codes; the latents of tiny are any numbers$"):
        client.decode([[1, 0, 0]], codes=True, model="tiny")
    with pytest.raises(CallError) as refused:
        client.encode(DATA, output="codes", model="tiny")
    assert (refused.value.code, refused.value.reason) == ("FAILED_PRECONDITION", "NO_CODES")
    with grpc.insecure_channel(server.target) as channel:
        stub = VaeServiceStub(channel)
        for model, codes, said in (
            ("coded", np.array([[0, 9, 0]], np.uint16), "codes.data: 9 in row 0 at [1] must be below 9"),
            ("coded", np.array([[0, 9, 0]], np.float32), "codes.dtype: is DATA_TYPE_FLOAT32, must be DATA_TYPE_UINT16"),
            ("coded", np.array([[0, 9]], np.uint16), "codes.shape: is [1, 2], must be [rows, 3]"),
            ("tiny", np.array([[0, 0, 0]], np.uint16), "model tiny has no codes, its latents are any numbers"),
        ):
            with pytest.raises(Exception, match="StatusCode") as raised:
                stub.Decode(pb.DecodeRequest(model=model, codes=to_message(codes)))
            assert said in str(raised.value)


def test_the_commands_write_codes_and_decode_them(server: RunningServer, client: Client, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", DATA)
    to = ("--target", server.target, "--model", "coded")
    run_vae("encode", *to, "--input", tmp_path / "x.npy", "--output", "codes", "--out", tmp_path / "z.npz")
    with np.load(tmp_path / "z.npz") as written:
        assert "latent" not in written
        np.testing.assert_array_equal(written["codes"], encode(DATA)["codes"])
    run_vae("decode", *to, "--input", tmp_path / "z.npz", "--out", tmp_path / "y.npy")
    latent = client.encode(DATA, model="coded").latent
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), client.decode(latent, model="coded").output)


def test_a_job_writes_codes_and_another_decodes_them(server: RunningServer, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", DATA)
    package = make(tmp_path / "package").directory
    of_rows: SourceOptions = {"partition_rows": 40, "batch_rows": 16, "workers": 1, "progress": False}
    here: SourceOptions = {**of_rows, "package": package}
    there: SourceOptions = {**of_rows, "target": server.target, "model": "coded"}
    tensors: SourceOptions = {**here, "format": "safetensors"}
    arrays: SourceOptions = {**here, "format": "npy"}
    arrays_there: SourceOptions = {**there, "format": "npy"}
    jobs.encode(tmp_path / "x.npy", tmp_path / "here", output="codes", **tensors)
    jobs.encode(tmp_path / "x.npy", tmp_path / "there", output="codes", **there)
    table = pq.read_table(sorted((tmp_path / "there").glob("*.parquet")))
    codes = np.array(table["codes"].to_pylist(), np.uint16)
    np.testing.assert_array_equal(codes, encode(DATA)["codes"])
    assert "uint16" in str(table["codes"].type)
    with pytest.raises(InvalidInput, match="holds codes, not latents: decode them by --codes"):
        jobs.decode(tmp_path / "there", tmp_path / "wrong", **there)
    jobs.decode(tmp_path / "here", tmp_path / "a", codes=True, **arrays_there)
    jobs.decode(tmp_path / "there", tmp_path / "b", codes=True, **arrays)
    with Local(package, threads=1, batch_rows=16) as local:
        expected = local.decode(latents_of(codes, LEVELS)).output
    for out in ("a", "b"):
        decoded = np.concatenate([np.load(file) for file in sorted((tmp_path / out).glob("*.npy"))])
        np.testing.assert_array_equal(decoded, expected)


def test_a_job_refuses_codes_of_a_model_without_them(server: RunningServer, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", DATA)
    with pytest.raises(InvalidInput, match=r"^--output: is for models with codes; the latents of tiny are any numbers"):
        jobs.encode(tmp_path / "x.npy", tmp_path / "z", output="codes", target=server.target, model="tiny")
    np.save(tmp_path / "z.npy", np.zeros((2, 3), np.uint16))
    with pytest.raises(InvalidInput, match=r"^--codes: is for models with codes"):
        jobs.decode(tmp_path / "z.npy", tmp_path / "y", codes=True, target=server.target, model="tiny")
