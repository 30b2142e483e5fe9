"""Pictures of any size over a real connection: every verb, streams, limits, and all that can be wrong with a size."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo

from tests.support.make_free_package import decode, encode, make, pictures
from tests.support.servers import RunningServer, StartServer, status_of
from vaeserve.package.directory import ModelPackage
from vaeserve.package.footprints import Footprint
from vaeserve.package.row_spec import Array
from vaeserve.package.sizes import PictureSize
from vaeserve.rows.images import decode_image, png
from vaeserve.rows.noise import Purpose, RowRange, standard_normals
from vaeserve.rows.tensors import to_array, to_message
from vaeserve.v1 import vae_pb2 as pb
from vaeserve.v1.vae_pb2_grpc import VaeServiceStub

SIZES = [PictureSize(16, 16), PictureSize(24, 40), PictureSize(256, 16), PictureSize(136, 120), PictureSize(256, 256)]
SMALL = PictureSize(24, 40)
FITS = {"crop": pb.PICTURE_FIT_CROP, "pad": pb.PICTURE_FIT_PAD}


@pytest.fixture(scope="module")
def stub(free_server: RunningServer) -> Iterator[VaeServiceStub]:
    with grpc.insecure_channel(free_server.target, [("grpc.max_receive_message_length", -1)]) as channel:
        yield VaeServiceStub(channel)


def array(message: pb.Tensor) -> Array:
    """Returns the rows of a reply, whatever their shape."""
    return to_array(message, "reply", "uint8" if message.dtype == pb.DATA_TYPE_UINT8 else "float32", message.shape[1:])


def size_of(size: PictureSize) -> pb.PictureSize:
    return pb.PictureSize(height=size.height, width=size.width)


def files(*sizes: tuple[int, int], channels: int = 3) -> list[bytes]:
    """Returns PNG files of random pictures."""
    random = np.random.default_rng(0)
    return [png(random.integers(0, 256, (*size, channels), np.uint8)) for size in sizes]


def refused(call: Callable[[], object]) -> tuple[str, str]:
    """Returns the field or the reason, and the message, of a call that must fail."""
    with pytest.raises(grpc.RpcError) as refusal:
        call()
    (detail,) = status_of(refusal.value).details
    violations, info = BadRequest(), ErrorInfo()
    if detail.Unpack(violations):
        return violations.field_violations[0].field, violations.field_violations[0].description
    assert detail.Unpack(info)
    return info.reason, str(refusal.value.details())


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_verb_at_every_size(stub: VaeServiceStub, size: PictureSize) -> None:
    data = pictures(3, size)
    reply = stub.Encode(pb.EncodeRequest(data=to_message(data), output=pb.ENCODE_OUTPUT_MOMENTS))
    mean, log_variance = encode(data)
    np.testing.assert_allclose(array(reply.latent), mean, atol=1e-5)
    np.testing.assert_allclose(array(reply.log_variance), log_variance, atol=1e-5)
    latent = array(reply.latent)
    expectation = array(
        stub.Decode(pb.DecodeRequest(latent=reply.latent, output=pb.DECODE_OUTPUT_EXPECTATION)).expectation
    )
    np.testing.assert_allclose(expectation, decode(latent), atol=1e-2)
    scored = stub.Reconstruct(pb.ReconstructRequest(data=to_message(data), output=pb.DECODE_OUTPUT_EXPECTATION))
    np.testing.assert_array_equal(array(scored.expectation), expectation)
    error = ((data - expectation.astype(np.float64)) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(array(scored.squared_error), error, rtol=1e-5)
    assert scored.HasField("kl")
    sampled = stub.Sample(pb.SampleRequest(count=2, seed=3, size=size_of(size), include_latent=True))
    assert list(sampled.data.shape) == [2, *size, 3]
    assert sampled.data == stub.Decode(pb.DecodeRequest(latent=sampled.latent)).data


@pytest.mark.parametrize("size", SIZES[:4], ids=str)
def test_a_rows_bits_do_not_depend_on_how_it_came(stub: VaeServiceStub, size: PictureSize) -> None:
    assert stub.GetModel(pb.GetModelRequest()).model.exactness.is_exact
    whole = stub.Sample(pb.SampleRequest(count=9, seed=3, size=size_of(size), include_latent=True))
    rows, latents = array(whole.data), array(whole.latent)
    page = stub.Sample(pb.SampleRequest(count=2, seed=3, first_row=5, size=size_of(size), include_latent=True))
    np.testing.assert_array_equal(array(page.data), rows[5:7])
    np.testing.assert_array_equal(array(page.latent), latents[5:7])
    asked = pb.SampleStreamRequest(
        request=pb.SampleRequest(count=9, seed=3, size=size_of(size)), message_rows=4 if size.pixels < 2**12 else 0
    )
    streamed = [array(message.response.data) for message in stub.SampleStream(asked)]
    np.testing.assert_array_equal(np.concatenate(streamed), rows)
    drawn = pb.EncodeRequest(data=whole.data, output=pb.ENCODE_OUTPUT_SAMPLE, seed=5, first_row=2)
    together = array(stub.Encode(drawn).latent)
    alone = pb.EncodeRequest(data=to_message(rows[4:5]), output=pb.ENCODE_OUTPUT_SAMPLE, seed=5, first_row=6)
    np.testing.assert_array_equal(array(stub.Encode(alone).latent), together[4:5])
    calls = [pb.Call(id=number, encode=one) for number, one in enumerate((drawn, alone), 1)]
    messages = stub.CallStream(iter([pb.CallStreamRequest(calls=calls)]))
    answers = [reply.encode for message in messages for reply in message.replies]
    np.testing.assert_array_equal(array(answers[0].latent), together)
    np.testing.assert_array_equal(array(answers[1].latent), together[4:5])


def test_noise_is_addressed_by_row_and_size(stub: VaeServiceStub) -> None:
    for size, latent in (((24, 40), (4, 3, 5)), ((40, 24), (4, 5, 3)), ((32, 48), (4, 4, 6))):
        request = pb.SampleRequest(
            count=3, seed=7, first_row=2, size=size_of(PictureSize(*size)), temperature=0.5, include_latent=True
        )
        noise = standard_normals(Purpose.PRIOR, [RowRange(7, 2, 3)], int(np.prod(latent))).reshape(3, *latent)
        np.testing.assert_array_equal(array(stub.Sample(request).latent), np.float32(0.5) * noise)


def test_the_default_size_is_sampled_where_none_is_named(stub: VaeServiceStub) -> None:
    assert list(stub.Sample(pb.SampleRequest(count=1)).data.shape) == [1, 32, 48, 3]
    message = next(iter(stub.SampleStream(pb.SampleStreamRequest(request=pb.SampleRequest(count=1)))))
    assert list(message.response.data.shape) == [1, 32, 48, 3]


def test_a_stream_carries_calls_of_many_sizes(stub: VaeServiceStub) -> None:
    data = [pictures(2, size, number) for number, size in enumerate(SIZES * 3)]
    calls = [pb.Call(id=number, encode=pb.EncodeRequest(data=to_message(one))) for number, one in enumerate(data)]
    replies = [
        reply
        for message in stub.CallStream(iter([pb.CallStreamRequest(calls=calls, any_order=True)]))
        for reply in message.replies
    ]
    assert sorted(reply.id for reply in replies) == [*range(len(data))]
    for reply in replies:
        np.testing.assert_allclose(array(reply.encode.latent), encode(data[reply.id])[0], atol=1e-5)


@pytest.mark.parametrize("fit", FITS)
def test_images_are_fitted_and_the_reply_tells_how(stub: VaeServiceStub, fit: str) -> None:
    contents = files((37, 29), (33, 31))
    reply = stub.Encode(pb.EncodeRequest(images=pb.EncodedImages(images=contents), fit=FITS[fit]))
    height, width = (32, 24) if fit == "crop" else (40, 32)
    spec = stub.GetModel(pb.GetModelRequest()).model.data
    assert spec.sizes.multiple == 8
    assert list(reply.latent.shape) == [2, 4, height // 8, width // 8]
    assert [(place.size.height, place.size.width) for place in reply.places] == [(37, 29), (33, 31)]
    offsets = [(place.top, place.left) for place in reply.places]
    assert offsets == ([(-2, -2), (0, -3)] if fit == "crop" else [(0, 0), (0, 0)])
    same = stub.Reconstruct(pb.ReconstructRequest(images=pb.EncodedImages(images=contents), fit=FITS[fit]))
    assert list(same.data.shape) == [2, height, width, 3]
    assert same.places == reply.places


def test_images_of_a_size_that_is_taken_are_the_data_that_they_show(stub: VaeServiceStub) -> None:
    data = pictures(2, SMALL)
    shown = [png(one) for one in data]
    for fit in (pb.PICTURE_FIT_UNSPECIFIED, pb.PICTURE_FIT_EXACT, *FITS.values()):
        request = pb.EncodeRequest(images=pb.EncodedImages(images=shown), fit=fit)
        assert stub.Encode(request).latent == stub.Encode(pb.EncodeRequest(data=to_message(data))).latent
    assert not stub.Encode(pb.EncodeRequest(images=pb.EncodedImages(images=shown))).places
    sampled = pb.SampleRequest(count=2, seed=1, size=size_of(SMALL))
    rows = array(stub.Sample(sampled).data)
    sampled.output = pb.DECODE_OUTPUT_PNG
    answered = [np.array(_pixels(file)) for file in stub.Sample(sampled).images.images]
    np.testing.assert_array_equal(np.stack(answered), rows)


def _pixels(file: bytes) -> Array:
    from tests.support.make_free_package import SIZES as TAKEN
    from vaeserve.package.data_spec import DataSpec

    spec = DataSpec(kind="image", shape=("height", "width", 3), sizes=TAKEN, dtype="uint8", minimum=0, maximum=255)
    return decode_image(file, "reply", spec)


def _data(*shape: int) -> pb.EncodeRequest:
    return pb.EncodeRequest(data=to_message(np.zeros(shape, np.uint8)))


def _images(contents: list[bytes], fit: pb.PictureFit.ValueType = pb.PICTURE_FIT_EXACT) -> pb.EncodeRequest:
    return pb.EncodeRequest(images=pb.EncodedImages(images=contents), fit=fit)


RULE = "must be [rows, height, width, 3] with height and width multiples of 8 in [16, 256]"
BAD_DATA: list[tuple[pb.EncodeRequest, str, str]] = [
    (_data(1, 17, 16, 3), "data.shape", f"is [1, 17, 16, 3], {RULE}"),
    (_data(1, 8, 16, 3), "data.shape", f"is [1, 8, 16, 3], {RULE}"),
    (_data(1, 264, 16, 3), "data.shape", f"is [1, 264, 16, 3], {RULE}"),
    (_data(1, 16, 16, 1), "data.shape", RULE),
    (_data(16, 16, 3), "data.shape", RULE),
    (_data(0, 16, 16, 3), "data.shape", "has 0 rows, must have at least 1"),
    (_images(files((16, 17))), "images.images[0]", "is 17 x 16 pixels, height and width must be multiples of 8"),
    (_images(files((16, 24), (24, 16))), "images.images[1]", "is 16 x 24 pixels, not 24 x 16 as the first image"),
    (_images(files((16, 24), (15, 24)), pb.PICTURE_FIT_CROP), "images.images[1]", "is 24 x 15 pixels, too small"),
    (_images(files((16, 300)), pb.PICTURE_FIT_PAD), "images.images[0]", "is 300 x 16 pixels, too large to be padded"),
    (_images(files((16, 16), channels=4)), "images.images[0]", "has transparent pixels"),
    (_images(files((16, 16)), 9), "fit", "9 is not a PictureFit"),  # type: ignore[arg-type]  # wrong on purpose
    (pb.EncodeRequest(data=_data(1, 16, 16, 3).data, fit=pb.PICTURE_FIT_PAD), "fit", "is for images; the rows of a"),
    (_images([]), "images.images", "has no rows, must have at least 1"),
]


@pytest.mark.parametrize(("request_", "field", "said"), BAD_DATA, ids=range(len(BAD_DATA)))
def test_pictures_that_are_refused(stub: VaeServiceStub, request_: pb.EncodeRequest, field: str, said: str) -> None:
    other = pb.ReconstructRequest(fit=request_.fit)
    arm = request_.WhichOneof("input")
    assert arm is not None
    getattr(other, arm).CopyFrom(getattr(request_, arm))
    for call in (lambda: stub.Encode(request_), lambda: stub.Reconstruct(other)):
        named, description = refused(call)
        assert named == field
        assert said in description


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((1, 4, 2, 33), "must be [rows, 4, height/8, width/8] with height and width multiples of 8 in [16, 256]"),
        ((1, 3, 2, 2), "is [1, 3, 2, 2], must be"),
        ((1, 4, 1, 2), "is [1, 4, 1, 2], must be"),
    ],
)
def test_latents_that_are_refused(stub: VaeServiceStub, shape: tuple[int, ...], said: str) -> None:
    latent = to_message(np.zeros(shape, np.float32))
    field, description = refused(lambda: stub.Decode(pb.DecodeRequest(latent=latent)))
    assert field == "latent.shape"
    assert said in description


def test_latents_that_are_not_finite(stub: VaeServiceStub) -> None:
    latent = np.zeros((2, 4, 3, 5), np.float32)
    latent[1, 2, 0, 4] = np.nan
    field, description = refused(lambda: stub.Decode(pb.DecodeRequest(latent=to_message(latent))))
    assert (field, description) == ("latent.data", "nan in row 1 at [2, 0, 4] must be finite")


@pytest.mark.parametrize("size", [(17, 16), (0, 0), (16, 264), (-16, 16)])
def test_sizes_that_cannot_be_sampled(stub: VaeServiceStub, size: tuple[int, int]) -> None:
    request = pb.SampleRequest(count=1, size=size_of(PictureSize(*size)))
    calls: list[Callable[[], object]] = [
        lambda: stub.Sample(request),
        lambda: list(stub.SampleStream(pb.SampleStreamRequest(request=request))),
    ]
    for call in calls:
        field, description = refused(call)
        assert field == "size"
        assert description == f"is {size[1]} x {size[0]} pixels, height and width must be multiples of 8 in [16, 256]"


def test_limits_count_rows_of_the_smallest_size(start_server: StartServer, free: Path) -> None:
    server = start_server("--call-rows", "100", "--message-bytes", "200000", package=free)
    with grpc.insecure_channel(server.target) as channel:
        stub = VaeServiceStub(channel)
        limits = stub.GetModel(pb.GetModelRequest()).model.limits
        row_bytes = 4 * (16 * 16 * 3 + 4 * 4) + 16
        assert limits.call_rows == 200_000 // row_bytes == 63
        assert len(stub.Encode(_data(15, 32, 32, 3)).latent.shape) == 4
        counted = "asks for 16 rows of 32 x 32, which count as 64 of 16 x 16; one call takes at most 63: split it"
        assert refused(lambda: stub.Encode(_data(16, 32, 32, 3))) == ("data.shape", counted)
        latent = to_message(np.zeros((16, 4, 4, 4), np.float32))
        assert refused(lambda: stub.Decode(pb.DecodeRequest(latent=latent))) == ("latent.shape", counted)
        sample = pb.SampleRequest(count=16, size=pb.PictureSize(height=32, width=32))
        assert refused(lambda: stub.Sample(sample)) == ("count", counted)
        assert refused(lambda: stub.Encode(_images(files(*[(32, 32)] * 16)))) == ("images.images", counted)
        sample.count = 100
        asked = pb.SampleStreamRequest(request=sample, message_rows=16)
        assert refused(lambda: list(stub.SampleStream(asked))) == ("message_rows", "is 16, must lie in [0, 15]")
        asked.message_rows = 0
        assert sum(len(array(one.response.data)) for one in stub.SampleStream(asked)) == 100


def test_one_row_is_refused_only_if_no_message_can_hold_it(start_server: StartServer, free: Path) -> None:
    server = start_server("--message-bytes", "200000", package=free)
    with grpc.insecure_channel(server.target) as channel:
        stub = VaeServiceStub(channel)
        assert list(stub.Encode(_data(1, 256, 256, 3)).latent.shape) == [1, 4, 32, 32]
        sample = pb.SampleRequest(count=1, size=pb.PictureSize(height=256, width=256))
        assert list(stub.Sample(sample).data.shape) == [1, 256, 256, 3]
        sample.output = pb.DECODE_OUTPUT_EXPECTATION
        said = "is of pictures of 256 x 256: one takes 786,432 bytes, a message takes at most 200,000"
        assert refused(lambda: stub.Sample(sample)) == ("size", said)


def test_models_of_one_size_take_neither_size_nor_fit(server: RunningServer) -> None:
    shape = "is for models of many sizes; every row of tiny has shape [4, 4, 1]"
    with grpc.insecure_channel(server.target) as channel:
        stub = VaeServiceStub(channel)
        sample = pb.SampleRequest(count=1, size=pb.PictureSize(height=4, width=4))
        assert refused(lambda: stub.Sample(sample)) == ("size", shape)
        fitted = _images(files((4, 4), channels=1), pb.PICTURE_FIT_CROP)
        assert refused(lambda: stub.Encode(fitted)) == ("fit", shape)
        fitted.fit = pb.PICTURE_FIT_EXACT
        assert not stub.Encode(fitted).places


def with_footprints(package: ModelPackage) -> Path:
    """Adds to a package what its graphs are said to take: 100 bytes a pixel."""
    manifest = package.manifest
    footprints = tuple(Footprint(pixels=side * side, bytes=100 * side * side) for side in (16, 64, 256))
    graphs = {
        name: graph.model_copy(update={"footprints": footprints}) for name, graph in manifest.graphs.by_name.items()
    }
    changed = manifest.model_copy(update={"graphs": manifest.graphs.model_copy(update=graphs)})
    files = {file.file: package.read(file) for file in manifest.files}
    return ModelPackage.write(package.directory, changed, files, overwrite=True).directory


def test_a_picture_that_there_is_no_memory_for_is_refused_before_it_runs(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server("--activation-bytes", "3000000", package=with_footprints(make(tmp_path / "free")))
    large = PictureSize(256, 256)
    with grpc.insecure_channel(server.target) as channel:
        stub = VaeServiceStub(channel)
        limits = stub.GetModel(pb.GetModelRequest()).model.limits
        for pixels in (limits.encode_pixels, limits.decode_pixels):
            assert 9000 < pixels <= 30_000  # what is measured may be up to three times what is said
        sample = pb.SampleRequest(count=1, size=size_of(large))
        data, latent = to_message(pictures(1, large)), to_message(np.zeros((1, 4, 32, 32), np.float32))
        calls: dict[str, Callable[[], object]] = {
            "data.shape": lambda: stub.Encode(pb.EncodeRequest(data=data)),
            "images.images[0]": lambda: stub.Reconstruct(
                pb.ReconstructRequest(images=pb.EncodedImages(images=files(large)))
            ),
            "latent.shape": lambda: stub.Decode(pb.DecodeRequest(latent=latent)),
            "size": lambda: list(stub.SampleStream(pb.SampleStreamRequest(request=sample))),
        }
        for field, call in calls.items():
            named, description = refused(call)
            assert named == field
            graph = "encoder" if field in ("data.shape", "images.images[0]") else "decoder"
            said = (
                rf"is 256 x 256 pixels, which take about [\d.]+ MiB in the {graph}; there is memory for [\d,]+ pixels: "
            )
            assert re.fullmatch(said + r"\d+ x \d+ would fit in [\d.]+ MiB", description), description
        fitting = PictureSize(88, 88)
        assert len(array(stub.Reconstruct(pb.ReconstructRequest(data=to_message(pictures(2, fitting)))).data)) == 2


def test_what_a_model_without_a_prior_answers(start_server: StartServer, tmp_path: Path) -> None:
    package = make(tmp_path / "free", priors=(), default_prior="").directory
    with grpc.insecure_channel(start_server(package=package).target) as channel:
        stub = VaeServiceStub(channel)
        sample = pb.SampleRequest(count=1)
        calls: list[Callable[[], object]] = [
            lambda: stub.Sample(sample),
            lambda: list(stub.SampleStream(pb.SampleStreamRequest(request=sample))),
        ]
        for call in calls:
            reason, message = refused(call)
            assert reason == "NO_PRIOR"
            assert message == "model free has no prior, so nothing can be sampled from it"
        scored = stub.Reconstruct(pb.ReconstructRequest(data=to_message(pictures(2, SMALL))))
        assert len(array(scored.squared_error)) == 2
        assert not scored.HasField("kl")
        assert not scored.HasField("elbo")
