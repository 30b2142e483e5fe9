"""Decode's requests -> latents."""

import math

import numpy as np
import pytest

from serving.vae_v1.decode import Decode
from tests.serving.vae_v1.conftest import LATENT, LIMITS, changed, message_of, refusal
from vaeserve.errors import PreconditionFailed
from vaeserve.package.contents import Codes
from vaeserve.package.manifest import Manifest
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb

DECODE = Decode()


@pytest.mark.parametrize(
    ("output", "expected", "value_bytes"),
    [
        (pb.DECODE_OUTPUT_UNSPECIFIED, "data", 1),
        (pb.DECODE_OUTPUT_DATA, "data", 1),
        (pb.DECODE_OUTPUT_EXPECTATION, "expectation", 4),
        (pb.DECODE_OUTPUT_PNG, "data", 1),
    ],
)
def test_an_output_says_what_the_decoder_answers(
    manifest: Manifest, output: "pb.DecodeOutput.ValueType", expected: str, value_bytes: int
) -> None:
    request = pb.DecodeRequest(latent=to_message(LATENT), output=output)
    rows = DECODE.parse(request, manifest, LIMITS)
    assert (rows.output, rows.latent.tobytes()) == (expected, LATENT.tobytes())
    assert DECODE.writes_images(request) == (output == pb.DECODE_OUTPUT_PNG)
    assert DECODE.reply_bytes(rows, manifest) == 5 * 16 * value_bytes


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"latent": None}, "latent", "is missing"),
        ({"latent": message_of(LATENT, dtype=pb.DATA_TYPE_UINT8)}, "latent.dtype", "must be DATA_TYPE_FLOAT32"),
        ({"latent": changed(LATENT, (3, 1), math.nan)}, "latent.data", "nan in row 3 at [1] must be finite"),
        ({"latent": changed(LATENT, (3, 1), -math.inf)}, "latent.data", "-inf in row 3"),
        ({"latent": to_message(LATENT[:, :2])}, "latent.shape", "is [5, 2], must be [rows, 3]"),
        ({"latent": message_of(LATENT, shape=[101, 3])}, "latent.shape", "asks for 101 rows, one call takes at most"),
        ({"latent": message_of(LATENT, shape=[5, 2])}, "latent.shape", "is [5, 2], must be"),
        ({"latent": message_of(LATENT, shape=[4, 3])}, "latent.data", "holds 60 bytes, shape [4, 3] takes 48"),
        ({"output": -1}, "output", "-1 is not a DecodeOutput"),
        ({"dtype": pb.DATA_TYPE_UINT8}, "dtype", "is DATA_TYPE_UINT8"),
    ],
)
def test_what_is_wrong_names_the_field(manifest: Manifest, fields: dict[str, object], field: str, said: str) -> None:
    request = pb.DecodeRequest(**{"latent": to_message(LATENT), **fields})  # type: ignore[arg-type]
    at_fault, description = refusal(DECODE, request, manifest)
    assert at_fault == field
    assert said in description


def test_latents_of_another_pair_are_refused_before_they_are_looked_at(manifest: Manifest) -> None:
    with pytest.raises(PreconditionFailed, match=r"^the latents come from pair 000000000000\.\.\., this model is"):
        DECODE.parse(pb.DecodeRequest(fingerprint="0" * 64), manifest, LIMITS)
    request = pb.DecodeRequest(latent=to_message(LATENT), fingerprint=manifest.fingerprint)
    assert len(DECODE.parse(request, manifest, LIMITS)) == 5


def test_images_of_a_table_are_refused(meager: Manifest) -> None:
    request = pb.DecodeRequest(latent=to_message(LATENT), output=pb.DECODE_OUTPUT_PNG)
    with pytest.raises(PreconditionFailed, match=r"^output: model tiny has table rows"):
        DECODE.parse(request, meager, LIMITS)


def test_codes_become_the_latents_that_they_stand_for(manifest: Manifest) -> None:
    coded = manifest.model_copy(update={"posterior": "none", "codes": Codes(levels=(5, 8, 3))})
    request = pb.DecodeRequest(codes=to_message(np.array([[0, 4, 2], [4, 7, 1]], np.uint16)))
    np.testing.assert_array_equal(DECODE.parse(request, coded, LIMITS).latent, [[-1, 0, 1], [1, 0.75, 0]])
    request.codes.CopyFrom(to_message(np.array([[0, 8, 2]], np.uint16)))
    field, said = refusal(DECODE, request, coded)
    assert (field, said) == ("codes.data", "8 in row 0 at [1] must be below 8, the number of levels")
    request.codes.CopyFrom(message_of(LATENT, dtype=pb.DATA_TYPE_UINT16, shape=[101, 3]))
    assert refusal(DECODE, request, coded)[0] == "codes.shape"
