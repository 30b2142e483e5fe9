"""Encoded images and float16 over a real connection, and the threads that decode and encode."""

import asyncio
import io
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from serving.vae_v1.images import Images
from tests.support.make_float_package import make
from tests.support.servers import StartServer, status_of
from vaeserve.errors import InvalidInput
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.row_spec import Array
from vaeserve.rows.images import decode_images, encode_images
from vaeserve.rows.tensors import to_array, to_message
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

COUNTS = DataSpec(kind="image", shape=(4, 4, 1), dtype="uint8", minimum=0, maximum=16)
SIGNED = DataSpec(kind="image", shape=(4, 6, 3), dtype="float32", minimum=-1, maximum=1)
DATA = np.random.default_rng(0).integers(0, 17, (150, 4, 4, 1), np.uint8)
LATENT = np.random.default_rng(1).normal(size=(150, 3)).astype(np.float32)
PNGS = encode_images(DATA, COUNTS)
FLOAT16 = pb.DATA_TYPE_FLOAT16


def images(files: list[bytes]) -> pb.EncodedImages:
    return pb.EncodedImages(images=files)


def refusal(call: Callable[[], object], code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT) -> tuple[str, str]:
    """Returns the field or the reason, and the message, of a call that must fail."""
    with pytest.raises(grpc.RpcError) as refused:
        call()
    assert refused.value.code() is code
    (detail,) = status_of(refused.value).details
    violations, info = BadRequest(), ErrorInfo()
    if detail.Unpack(violations):
        return violations.field_violations[0].field, violations.field_violations[0].description
    assert detail.Unpack(info)
    return info.reason, str(refused.value.details())


def test_images_are_encoded_as_the_data_that_they_show(stub: VaeServiceStub) -> None:
    request = pb.EncodeRequest(data=to_message(DATA), output=pb.ENCODE_OUTPUT_SAMPLE, seed=3, first_row=7)
    shown = pb.EncodeRequest(images=images(PNGS), output=pb.ENCODE_OUTPUT_SAMPLE, seed=3, first_row=7)
    assert stub.Encode(shown).latent == stub.Encode(request).latent


def test_images_are_reconstructed_and_answered_as_images(stub: VaeServiceStub) -> None:
    scored = stub.Reconstruct(pb.ReconstructRequest(data=to_message(DATA)))
    shown = stub.Reconstruct(pb.ReconstructRequest(images=images(PNGS), output=pb.DECODE_OUTPUT_PNG))
    assert shown.elbo == scored.elbo
    rows = decode_images(shown.images.images, "reply", 0, COUNTS)
    np.testing.assert_array_equal(rows, to_array(scored.data, "reply", "uint8", COUNTS.shape))


def test_decode_and_sample_answer_images(stub: VaeServiceStub) -> None:
    data = stub.Decode(pb.DecodeRequest(latent=to_message(LATENT))).data
    reply = stub.Decode(pb.DecodeRequest(latent=to_message(LATENT), output=pb.DECODE_OUTPUT_PNG))
    assert reply.WhichOneof("output") == "images"
    assert to_message(decode_images(reply.images.images, "reply", 0, COUNTS)) == data
    sampled = stub.Sample(pb.SampleRequest(count=3, seed=1, output=pb.DECODE_OUTPUT_PNG, include_latent=True))
    assert len(sampled.images.images) == 3
    assert sampled.latent.shape[0] == 3
    with Image.open(io.BytesIO(sampled.images.images[0])) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (4, 4))


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


BAD: list[tuple[list[bytes], str, str]] = [
    ([], "images.images", "has no rows, must have at least 1"),
    ([b"\0"] * 16_385, "images.images", "asks for 16385 rows, one call takes at most 16384: split it"),
    ([*PNGS[:100], b"GIF89a"], "images.images[100]", "is not a PNG, JPEG or WebP"),
    ([PNGS[0], PNGS[1][:-20]], "images.images[1]", "is not an intact PNG"),
    ([_png(Image.new("L", (5, 4)))], "images.images[0]", "is 5 x 4 pixels, must be 4 x 4 (width x height)"),
    ([_png(Image.new("RGB", (4, 4), "red"))], "images.images[0]", "has colours, must be grey"),
    ([PNGS[0][:16] + struct.pack(">II", 60_000, 60_000) + PNGS[0][24:]], "images.images[0]", "is 60000 x 60000 pixels"),
]


@pytest.mark.parametrize(("files", "field", "said"), BAD, ids=range(len(BAD)))
def test_images_that_are_refused(stub: VaeServiceStub, files: list[bytes], field: str, said: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: stub.Encode(pb.EncodeRequest(images=images(files))),
        lambda: stub.Reconstruct(pb.ReconstructRequest(images=images(files))),
    ]
    for call in calls:
        found, description = refusal(call)
        assert found == field
        assert description.startswith(said)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 10_000), replacement=st.binary(max_size=6), removed=st.integers(0, 6))
def test_mutated_requests_are_answered_or_refused(
    stub: VaeServiceStub, position: int, replacement: bytes, removed: int
) -> None:
    content = pb.EncodeRequest(images=images(PNGS[:3]), seed=1, dtype=FLOAT16).SerializeToString()
    start = position % len(content)
    try:
        request = pb.EncodeRequest.FromString(content[:start] + replacement + content[start + removed :])
    except Exception:
        return  # protobuf itself refuses it, on the server too
    try:
        stub.Encode(request, timeout=20)
    except grpc.RpcError as error:
        assert error.code() in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}, error


def halves(message: pb.Tensor, *shape: int) -> Array:
    return to_array(message, "reply", "float16", shape)


def test_float16_is_answered_where_it_is_asked_for(stub: VaeServiceStub) -> None:
    request = pb.EncodeRequest(data=to_message(DATA), output=pb.ENCODE_OUTPUT_MOMENTS)
    full = stub.Encode(request)
    request.dtype = FLOAT16
    short = stub.Encode(request)
    for name in ("latent", "log_variance"):
        wide = to_array(getattr(full, name), name, "float32", (3,))
        np.testing.assert_array_equal(halves(getattr(short, name), 3), wide.astype(np.float16))
    expectation = stub.Decode(
        pb.DecodeRequest(latent=full.latent, output=pb.DECODE_OUTPUT_EXPECTATION, dtype=FLOAT16)
    ).expectation
    assert halves(expectation, 4, 4, 1).dtype == np.float16
    assert stub.Decode(pb.DecodeRequest(latent=full.latent, dtype=FLOAT16)).data.dtype == pb.DATA_TYPE_UINT8
    sampled = stub.Sample(pb.SampleRequest(count=2, include_latent=True, dtype=FLOAT16))
    assert halves(sampled.latent, 3).shape == (2, 3)
    scored = stub.Reconstruct(
        pb.ReconstructRequest(data=to_message(DATA), output=pb.DECODE_OUTPUT_EXPECTATION, dtype=FLOAT16)
    )
    assert {scored.elbo.dtype, scored.kl.dtype, scored.squared_error.dtype} == {pb.DATA_TYPE_FLOAT32}
    assert scored.expectation.dtype == FLOAT16


def test_float16_is_taken_where_float32_is(stub: VaeServiceStub) -> None:
    short = LATENT.astype(np.float16)
    wide = stub.Decode(pb.DecodeRequest(latent=to_message(short.astype(np.float32))))
    assert stub.Decode(pb.DecodeRequest(latent=to_message(short))).data == wide.data


@pytest.mark.parametrize(("dtype", "said"), [(1, "is DATA_TYPE_UINT8, must be"), (9, "is 9, must be")])
def test_other_types_of_a_reply(stub: VaeServiceStub, dtype: int, said: str) -> None:
    data, latent = to_message(DATA), to_message(LATENT)
    calls: list[Callable[[], object]] = [
        lambda: stub.Encode(pb.EncodeRequest(data=data, dtype=dtype)),  # type: ignore[arg-type]  # wrong on purpose
        lambda: stub.Decode(pb.DecodeRequest(latent=latent, dtype=dtype)),  # type: ignore[arg-type]
        lambda: stub.Sample(pb.SampleRequest(count=1, dtype=dtype)),  # type: ignore[arg-type]
        lambda: stub.Reconstruct(pb.ReconstructRequest(data=data, dtype=dtype)),  # type: ignore[arg-type]
    ]
    for call in calls:
        field, description = refusal(call)
        assert field == "dtype"
        assert description.startswith(said)


def test_colour_images_of_floats(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(package=make(tmp_path / "colour", SIGNED.shape, scale=1e5).directory)
    rows = np.random.default_rng(0).integers(0, 256, (3, *SIGNED.shape)).astype(np.float32) / 255 * 2 - 1
    rows[:, 0, 0, 0] = -0.5, 1, 0
    with grpc.insecure_channel(server.target) as channel:
        stub = VaeServiceStub(channel)
        files = encode_images(rows, SIGNED)
        near = decode_images(files, "rows", 0, SIGNED)
        shown = stub.Reconstruct(pb.ReconstructRequest(images=images(files)))
        told = stub.Reconstruct(pb.ReconstructRequest(data=to_message(near)))
        assert (shown.data, shown.kl, shown.squared_error) == (told.data, told.kl, told.squared_error)
        short = stub.Reconstruct(pb.ReconstructRequest(data=to_message(near.astype(np.float16)), dtype=FLOAT16))
        assert halves(short.data, *SIGNED.shape).shape == rows.shape
        reason, message = refusal(
            lambda: stub.Encode(pb.EncodeRequest(data=to_message(rows), dtype=FLOAT16)),
            grpc.StatusCode.FAILED_PRECONDITION,
        )
    assert reason == "FLOAT16_OVERFLOW"
    assert message == "latent: 100000.0 in row 1 at [0] is too large for float16: ask for float32"


def test_tables_are_no_images(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(package=make(tmp_path / "table", (5,)).directory)
    with grpc.insecure_channel(server.target) as channel:
        stub = VaeServiceStub(channel)
        calls: list[tuple[str, Callable[[], object]]] = [
            ("images", lambda: stub.Encode(pb.EncodeRequest(images=images(PNGS)))),
            ("output", lambda: stub.Sample(pb.SampleRequest(count=1, output=pb.DECODE_OUTPUT_PNG))),
        ]
        for field, call in calls:
            reason, message = refusal(call, grpc.StatusCode.FAILED_PRECONDITION)
            assert reason == "NOT_IMAGES"
            assert message.startswith(f"{field}: model floats has table rows of shape [5]; encoded images have 1, 3 or")


def test_calls_take_turns() -> None:
    """Many images of one call do not hold up the few of another."""

    async def run() -> list[str]:
        threads, done = Images(1), []

        async def decode(name: str, files: list[bytes]) -> None:
            await threads.decode(files, name, COUNTS)
            done.append(name)

        await asyncio.gather(decode("many", PNGS * 6), decode("few", PNGS[:2]))
        return done

    assert asyncio.run(run()) == ["few", "many"]


def test_rows_keep_their_order_and_errors_their_row() -> None:
    async def run() -> None:
        threads = Images(2)
        rows = await threads.decode(PNGS, "images", COUNTS)
        np.testing.assert_array_equal(rows, DATA)
        assert await threads.encode(rows, COUNTS) == PNGS
        with pytest.raises(InvalidInput, match=r"^images\[149\]: is not a PNG"):
            await threads.decode([*PNGS[:149], b""], "images", COUNTS)

    asyncio.run(run())


def test_closing_ends_the_threads() -> None:
    before = set(threading.enumerate())
    images = Images(1)
    asyncio.run(images.decode(PNGS[:2], "images", COUNTS))
    began = set(threading.enumerate()) - before
    assert began
    images.close()
    assert not any(thread.is_alive() for thread in began)
