"""Clients of a model of pictures of any size: both clients, streams, one package in this process, and refusals."""

import asyncio
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from PIL import Image

from tests.support.make_free_package import encode, pictures
from tests.support.servers import RunningServer
from vaeserve import AsyncClient, Client, Local
from vaeserve.client.calls import decode as decode_call
from vaeserve.client.calls import encode as encode_call
from vaeserve.client.calls import sample as sample_call
from vaeserve.client.conversation import BatchCall, Conversation
from vaeserve.client.description import Model, parse_model
from vaeserve.client.endpoint import CallPlan
from vaeserve.client.failures import Patience
from vaeserve.client.results import Encoded
from vaeserve.client.stride import Stride
from vaeserve.errors import CallError, InvalidInput
from vaeserve.package.sizes import PictureSize
from vaeserve.rows.images import png
from vaeserve.rows.size_fit import PicturePlace
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb

if TYPE_CHECKING:
    from tests.vaeserve.conftest import Server

SIZES = [PictureSize(16, 16), PictureSize(24, 40), PictureSize(136, 120)]


@pytest.fixture(scope="module")
def client(free_server: RunningServer) -> Iterator[Client]:
    with Client(free_server.target) as client:
        yield client


@pytest.fixture(scope="module")
def local(free: Path) -> Iterator[Local]:
    with Local(free, provider="cpu", threads=1, batch_rows=64) as local:
        yield local


def files(*sizes: tuple[int, int]) -> list[bytes]:
    """Returns PNG files of random pictures."""
    random = np.random.default_rng(0)
    return [png(random.integers(0, 256, (*size, 3), np.uint8)) for size in sizes]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_server_and_this_process_give_the_same_bits(client: Client, local: Local, size: PictureSize) -> None:
    data = pictures(70, size)
    encoded, own = client.encode(data, output="moments"), local.encode(data, output="moments")
    np.testing.assert_allclose(encoded.latent, encode(data)[0], atol=1e-5)
    np.testing.assert_array_equal(encoded.latent, own.latent)
    assert encoded.places == ()
    decoded = client.decode(encoded).output
    assert decoded.shape == data.shape
    np.testing.assert_array_equal(decoded, local.decode(encoded).output)
    scored, own_scores = client.reconstruct(data), local.reconstruct(data)
    np.testing.assert_array_equal(scored.output, decoded)
    np.testing.assert_array_equal(scored.squared_error, own_scores.squared_error)
    assert own.timing.batch_rows == {1: 64, 4: 16, 64: 1}[-(-size.pixels // 256)]
    assert encoded.timing.batch_rows <= own.timing.batch_rows


@pytest.mark.parametrize("size", [None, *SIZES], ids=str)
def test_sampled_rows_do_not_depend_on_the_split(client: Client, local: Local, size: PictureSize | None) -> None:
    whole = client.sample(20, seed=7, size=size, include_latent=True)
    assert whole.output.shape == (20, *(size or (32, 48)), 3)
    page = client.sample(5, seed=7, first_row=10, size=size, include_latent=True)
    assert whole.latent is not None
    assert page.latent is not None
    np.testing.assert_array_equal(page.latent, whole.latent[10:15])
    np.testing.assert_array_equal(page.output, whole.output[10:15])
    for one in (client, local):
        pieces = list(one.sample_stream(20, seed=7, size=size, message_rows=6 if size != SIZES[2] else 0))
        np.testing.assert_array_equal(np.concatenate([piece.output for piece in pieces]), whole.output)
    np.testing.assert_array_equal(local.sample(20, seed=7, size=size).output, whole.output)


def test_batches_of_a_stream_may_differ_in_size(client: Client, local: Local) -> None:
    batches = [pictures(3, size, number) for number, size in enumerate(SIZES * 3)]
    encoded = list(client.encode_stream(batches, output="sample", seed=5))
    for one, batch, first_row in zip(encoded, batches, range(0, 100, 3), strict=False):
        alone = client.encode(batch, output="sample", seed=5, first_row=first_row)
        np.testing.assert_array_equal(one.latent, alone.latent)
    decoded = list(local.decode_stream(encoded))
    assert [one.output.shape for one in decoded] == [batch.shape for batch in batches]


def test_the_awaited_client_does_the_same(client: Client, free_server: RunningServer) -> None:
    batches = [pictures(3, size, number) for number, size in enumerate(SIZES)]

    async def run(share_stream: bool) -> None:
        async with AsyncClient(free_server.target, share_stream=share_stream) as other:
            encoded = await asyncio.gather(*map(other.encode, batches))
            for one, batch in zip(encoded, batches, strict=True):
                np.testing.assert_array_equal(one.latent, client.encode(batch).latent)
            streamed = [one.latent async for one in other.encode_stream(batches)]
            for one, latent in zip(encoded, streamed, strict=True):
                np.testing.assert_array_equal(one.latent, latent)
            sampled = await other.sample(3, seed=1, size=(24, 16))
            np.testing.assert_array_equal(sampled.output, client.sample(3, seed=1, size=(24, 16)).output)
            pieces = [one.output async for one in other.sample_stream(3, seed=1, size=(24, 16))]
            np.testing.assert_array_equal(np.concatenate(pieces), sampled.output)

    for share_stream in (False, True):
        asyncio.run(run(share_stream))


@pytest.mark.parametrize(("fit", "size"), [("crop", (32, 24)), ("pad", (40, 32))])
def test_images_are_fitted(client: Client, local: Local, fit: str, size: tuple[int, int]) -> None:
    contents = files((37, 29), (33, 31))
    offsets = [(-2, -2), (0, -3)] if fit == "crop" else [(0, 0), (0, 0)]
    sizes = [PictureSize(37, 29), PictureSize(33, 31)]
    places = tuple(PicturePlace(one, *offset) for one, offset in zip(sizes, offsets, strict=True))
    results = []
    for one in (client, local):
        encoded = one.encode(contents, fit=fit)  # type: ignore[arg-type]  # one of its literals
        assert encoded.latent.shape == (2, 4, size[0] // 8, size[1] // 8)
        assert encoded.places == places
        scored = one.reconstruct(contents, fit=fit, output="png")  # type: ignore[arg-type]
        assert scored.places == places
        for file in scored.output:
            with Image.open(io.BytesIO(file)) as picture:
                assert picture.size == size[::-1]
        results.append(encoded.latent)
    np.testing.assert_array_equal(results[0], results[1])
    streamed = list(client.encode_stream([contents, files((16, 24))], fit=fit))  # type: ignore[arg-type]
    assert [one.places for one in streamed] == [places, (PicturePlace(PictureSize(16, 24), 0, 0),)]


REFUSED: list[tuple[Callable[[Client], object], str]] = [
    (lambda c: c.encode(np.zeros((1, 17, 16, 3), np.uint8)), "data: has shape [1, 17, 16, 3], must be [rows, height, "),
    (lambda c: c.encode(np.zeros((16, 16, 3), np.uint8)), "data: is a single row of shape [16, 16, 3], must be [rows"),
    (lambda c: c.encode(np.zeros((1, 16, 16, 1), np.uint8)), "data: has shape [1, 16, 16, 1], must be [rows, height"),
    (lambda c: c.encode(np.zeros((1, 16, 264, 3), np.uint8)), "multiples of 8 in [16, 256]"),
    (lambda c: c.encode([[[1.0]], [[1.0, 2.0]]]), "data: is not an array: its rows differ in length"),
    (lambda c: c.encode(files((16, 24), (24, 16))), "data[1]: is 16 x 24 pixels, not 24 x 16 as the first image"),
    (lambda c: c.encode(files((16, 25))), "data[0]: is 25 x 16 pixels, height and width must be multiples of 8 in"),
    (lambda c: c.encode(files((15, 25)), fit="crop"), "data[0]: is 25 x 15 pixels, too small to be cut"),
    (
        lambda c: c.encode(pictures(1, SIZES[0]), fit="pad"),
        "fit: is for images; the rows of an array are taken as",
    ),
    (lambda c: c.encode(files((16, 16)), fit="tile"), "fit: is 'tile', must be one of exact, crop, pad"),  # type: ignore[arg-type]
    (lambda c: c.decode(np.zeros((1, 4, 2, 33), np.float32)), "latent: has shape [1, 4, 2, 33], must be [rows, 4, "),
    (lambda c: c.decode(np.full((1, 4, 2, 2), np.nan, np.float32)), "latent: nan in row 0 at [0, 0, 0] must be finite"),
    (lambda c: c.sample(1, size=(16, 17)), "size: is 17 x 16 pixels, height and width must be multiples"),
    (lambda c: c.sample(1, size=16), "size: is 16, must be (height, width)"),  # type: ignore[arg-type]
    (lambda c: c.sample(1, size=(16, 16, 3)), "size: is (16, 16, 3), must be (height, width)"),  # type: ignore[arg-type]
    (lambda c: c.sample(1, size=(16, 16.5)), "size: "),  # type: ignore[arg-type]
    (lambda c: list(c.sample_stream(1, size=(16, 17))), "size: is 17 x 16 pixels, height and width must be"),
]


@pytest.mark.parametrize(("call", "said"), REFUSED, ids=range(len(REFUSED)))
def test_what_does_not_fit_is_not_sent(client: Client, call: Callable[[Client], object], said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        call(client)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_models_of_one_size_take_neither_size_nor_fit(server: "Server") -> None:
    with Client(server.target) as client:
        for call in (
            lambda: client.sample(1, size=(8, 8)),
            lambda: client.encode([b"one"], fit="crop"),
            lambda: list(client.reconstruct_stream([[b"one"]], fit="pad")),
        ):
            with pytest.raises(
                InvalidInput, match=r"is for models of many sizes; every row of digits has shape \[8, 8"
            ):
                call()


@pytest.fixture(scope="module")
def model(client: Client) -> Model:
    return client.get_model()


def test_requests_hold_as_many_rows_as_count_for_a_call(model: Model) -> None:
    limited = model.model_copy(update={"limits": model.limits.model_copy(update={"call_rows": 10})})

    def rows(requests: object) -> list[int]:
        return [_rows(request) for request in requests]  # type: ignore[attr-defined]

    def _rows(request: pb.EncodeRequest | pb.DecodeRequest | pb.SampleRequest) -> int:
        if isinstance(request, pb.SampleRequest):
            return request.count
        if isinstance(request, pb.DecodeRequest):
            return request.latent.shape[0]
        return request.data.shape[0] if request.HasField("data") else len(request.images.images)

    data = pictures(5, PictureSize(32, 32))
    assert rows(encode_call(data).requests(limited)) == [2, 2, 1]
    assert rows(encode_call([png(one) for one in data]).requests(limited)) == [2, 2, 1]
    assert rows(encode_call(pictures(3, PictureSize(64, 64))).requests(limited)) == [1, 1, 1]
    assert rows(decode_call(np.zeros((5, 4, 4, 4), np.float32)).requests(limited)) == [2, 2, 1]
    assert rows(sample_call(5, size=(32, 32)).requests(limited)) == [2, 2, 1]
    assert rows(sample_call(25, size=(16, 16)).requests(limited)) == [10, 10, 5]


def test_parts_are_as_large_as_their_pictures_take_time(model: Model) -> None:
    assert model.execution is not None
    slow = model.model_copy(update={"execution": model.execution.model_copy(update={"row_seconds": 0.5})})
    stride = Stride(slow, 60.0)
    assert stride.in_time == 30
    requests = sample_call(100, size=(32, 32)).requests(slow, stride.rows)
    assert [request.count for request in requests][:2] == [7, 7]  # type: ignore[attr-defined]
    plan = CallPlan(slow, stride, (), PictureSize(32, 32))
    plan.learn(pb.SampleRequest(count=7), pb.SampleResponse(timing=pb.Timing(running_microseconds=28_000_000)))
    assert stride.in_time == 15


def test_a_stream_has_as_many_pictures_on_their_way_as_their_size_allows(model: Model) -> None:
    assert model.execution is not None
    slow = model.model_copy(update={"execution": model.execution.model_copy(update={"row_seconds": 1.0})})
    talk: Conversation[pb.EncodeResponse, Encoded] = Conversation(lambda *_: None, Patience("host:1", 40.0))  # type: ignore[arg-type]
    for size in (PictureSize(16, 16), PictureSize(32, 32), PictureSize(32, 32)):  # 8, 32 and 32 of the smallest
        talk.add(BatchCall(encode_call(pictures(8, size)), slow))
    sent = []
    while message := talk.take_message():
        sent.append([call.encode.data.shape[0] for call in message.calls])
    assert sent == [[8, 2], [2]]  # a part takes up to 10 seconds, and two of them are on their way
    assert talk.is_held


def test_a_reply_of_another_size_is_found_out(model: Model) -> None:
    call = sample_call(1, seed=1, size=(16, 24))
    reply = pb.SampleResponse(
        fingerprint=model.fingerprint, data=pb.Tensor(dtype=pb.DATA_TYPE_UINT8, shape=[1, 24, 16, 3], data=bytes(1152))
    )
    with pytest.raises(CallError, match=r"reply has no usable data: .* must be \[rows, 16, 24, 3\]"):
        call.join(model, [reply])
    fitted = encode_call(files((17, 17)), fit="crop")
    latent = pb.Tensor(dtype=pb.DATA_TYPE_FLOAT32, shape=[1, 4, 2, 2], data=bytes(64))
    with pytest.raises(CallError, match=r"^INTERNAL: the server answered 0 places of 1 images$"):
        fitted.join(model, [pb.EncodeResponse(fingerprint=model.fingerprint, latent=latent)])
    latent = pb.Tensor(dtype=pb.DATA_TYPE_FLOAT32, shape=[1, 4, 3, 2], data=bytes(96))
    with pytest.raises(CallError, match=r"reply has no usable latent: .* must be \[rows, 4, 2, 2\]"):
        fitted.join(model, [pb.EncodeResponse(fingerprint=model.fingerprint, latent=latent)])


def test_a_description_of_sizes_that_cannot_be_is_refused(client: Client) -> None:
    message = pb.Model(name="free", version=1, fingerprint="f", data=pb.DataSpec(shape=[-1, -1, 3]))
    with pytest.raises(CallError, match="the server describes a model that this client does not understand"):
        parse_model(message)


@pytest.mark.parametrize("output", ["data", "expectation"])
def test_a_default_that_has_changed_on_the_server_is_taken(
    model: Model, output: Literal["data", "expectation"]
) -> None:
    call = sample_call(2, output=output, include_latent=True)
    rows = to_message(np.zeros((2, 16, 24, 3), np.uint8 if output == "data" else np.float32))
    latent = to_message(np.zeros((2, 4, 2, 3), np.float32))
    reply = pb.SampleResponse(fingerprint=model.fingerprint, latent=latent)
    getattr(reply, output).CopyFrom(rows)
    sampled = call.join(model, [reply])
    assert sampled.output.shape == (2, 16, 24, 3)
    assert sampled.latent is not None
    assert sampled.latent.shape == (2, 4, 2, 3)
