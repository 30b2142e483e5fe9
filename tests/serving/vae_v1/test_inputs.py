"""Rows of data in a request: every field of a tensor or of images that can be wrong."""

from pathlib import Path

import numpy as np
import pytest

from serving.models.row_memory import SizedGraph
from serving.vae_v1.inputs import Undecoded, parse_input
from tests.serving.vae_v1.conftest import CALL_ROWS, DATA, LIMITS, changed, message_of
from vaeserve.errors import InvalidInput, PreconditionFailed
from vaeserve.package.directory import ModelPackage
from vaeserve.package.manifest import Manifest
from vaeserve.package.row_spec import Array
from vaeserve.rows.images import png
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb


def _parse(manifest: Manifest, **fields: object) -> Array | Undecoded[Array]:
    return parse_input(pb.EncodeRequest(**fields), manifest, LIMITS, (), lambda data, _: data)  # type: ignore[arg-type]


def test_a_tensor_becomes_rows_and_images_wait_to_be_decoded(manifest: Manifest) -> None:
    rows = _parse(manifest, data=to_message(DATA))
    assert not isinstance(rows, Undecoded)
    assert rows.tobytes() == DATA.tobytes()
    images = _parse(manifest, images=pb.EncodedImages(images=[b"one", b"two"]))
    assert isinstance(images, Undecoded)
    assert (list(images.images), images.field, len(images)) == ([b"one", b"two"], "images.images", 2)


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({}, "data", "is missing"),
        ({"data": message_of(DATA, dtype=pb.DATA_TYPE_FLOAT32)}, "data.dtype", "is DATA_TYPE_FLOAT32, must be"),
        ({"data": message_of(DATA, dtype=99)}, "data.dtype", "is 99, must be DATA_TYPE_UINT8"),
        ({"data": pb.Tensor(shape=[1, 4, 4, 1], data=bytes(16))}, "data.dtype", "is DATA_TYPE_UNSPECIFIED"),
        ({"data": message_of(DATA, shape=[4, 4, 1])}, "data.shape", "is [4, 4, 1], must be [rows, 4, 4, 1]"),
        ({"data": message_of(DATA, shape=[5, 4, 4, 3])}, "data.shape", "must be [rows, 4, 4, 1]"),
        ({"data": message_of(DATA, shape=[])}, "data.shape", "is [], must be"),
        ({"data": message_of(DATA, shape=[6, 4, 4, 1])}, "data.data", "holds 80 bytes, shape [6, 4, 4, 1] takes 96"),
        ({"data": message_of(DATA, shape=[CALL_ROWS, 4, 4, 1])}, "data.data", "holds 80 bytes"),
        ({"data": message_of(DATA, shape=[2**62, 4, 4, 1])}, "data.shape", "one call takes at most 100: split it"),
        ({"data": message_of(DATA, shape=[-5, 4, 4, 1])}, "data.shape", "has -5 rows"),
        ({"data": message_of(DATA[:0])}, "data.shape", "has 0 rows, must have at least 1"),
        ({"data": changed(DATA, (2, 1, 3, 0), 17)}, "data.data", "17 in row 2 at [1, 3, 0] must lie in [0, 16]"),
        ({"images": pb.EncodedImages()}, "images.images", "has no rows, must have at least 1"),
        ({"images": pb.EncodedImages(images=[b""] * 101)}, "images.images", "asks for 101 rows, one call takes at"),
    ],
)
def test_what_is_wrong_names_the_field(manifest: Manifest, fields: dict[str, object], field: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        _parse(manifest, **fields)
    assert refused.value.field == field
    assert said in refused.value.description


def test_pictures_that_there_is_no_memory_for_are_refused_unseen(free: Path) -> None:
    manifest = ModelPackage.open(free).manifest
    limits = LIMITS._replace(encode_pixels=1024, decode_pixels=2048)

    def refused(graphs: tuple[SizedGraph, ...], **fields: object) -> tuple[str, str]:
        with pytest.raises(InvalidInput) as refusal:
            parse_input(pb.EncodeRequest(**fields), manifest, limits, graphs, lambda data, _: data)  # type: ignore[arg-type]
        return refusal.value.field, refusal.value.description

    said = "is 48 x 32 pixels; there is memory for 1,024 pixels: 40 x 24 would fit"
    tensor = pb.Tensor(shape=[1, 32, 48, 3])
    assert refused(("encoder",), data=tensor) == ("data.shape", said)
    assert refused(("decoder", "encoder"), data=tensor) == ("data.shape", said)
    image = png(np.zeros((32, 48, 3), np.uint8))
    assert refused(("encoder",), images=pb.EncodedImages(images=[image])) == ("images.images[0]", said)
    assert refused(("decoder",), data=tensor) == ("data.dtype", "is DATA_TYPE_UNSPECIFIED, must be DATA_TYPE_UINT8")


def test_images_are_refused_where_rows_are_not_pictures(meager: Manifest) -> None:
    with pytest.raises(PreconditionFailed, match=r"^images: model tiny has table rows of shape") as refused:
        _parse(meager, images=pb.EncodedImages(images=[b"one"]))
    assert refused.value.reason == "NOT_IMAGES"
