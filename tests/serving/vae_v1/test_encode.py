"""Encode's requests -> rows."""

import pytest

from serving.engine.rows import DataRows
from serving.vae_v1.encode import Encode
from serving.vae_v1.inputs import Undecoded
from tests.serving.vae_v1.conftest import DATA, LIMITS, refusal
from vaeserve.errors import PreconditionFailed
from vaeserve.package.contents import Codes
from vaeserve.package.manifest import Manifest
from vaeserve.rows.noise import RowRange
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb

ENCODE = Encode()


def _rows(manifest: Manifest, **fields: object) -> DataRows:
    request = pb.EncodeRequest(data=to_message(DATA), **fields)  # type: ignore[arg-type]
    rows = ENCODE.parse(request, manifest, LIMITS)
    assert isinstance(rows, DataRows)
    return rows


def test_a_mean_takes_no_noise_moments_a_log_variance_and_a_draw_its_addresses(manifest: Manifest) -> None:
    mean, moments = _rows(manifest), _rows(manifest, output=pb.ENCODE_OUTPUT_MOMENTS)
    assert (mean.noise, mean.log_variance) == (None, False)
    assert (moments.noise, moments.log_variance) == (None, True)
    draw = _rows(manifest, output=pb.ENCODE_OUTPUT_SAMPLE, seed=0, first_row=7)
    assert (draw.noise, draw.log_variance) == (RowRange(0, 7, 5), False)


def test_a_seed_left_open_is_chosen(manifest: Manifest) -> None:
    first, second = (_rows(manifest, output=pb.ENCODE_OUTPUT_SAMPLE).noise for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.seed != second.seed


def test_images_become_rows_once_they_are_decoded(manifest: Manifest) -> None:
    images = pb.EncodedImages(images=[b"one"] * 5)
    request = pb.EncodeRequest(images=images, output=pb.ENCODE_OUTPUT_SAMPLE, seed=3, first_row=2)
    undecoded = ENCODE.parse(request, manifest, LIMITS)
    assert isinstance(undecoded, Undecoded)
    assert undecoded.make_rows(DATA, None).noise == RowRange(3, 2, 5)


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"output": 9}, "output", "9 is not an EncodeOutput"),
        ({"output": 2, "first_row": -1}, "first_row", "is -1, must lie in [0, 2^63 - 5]"),
        ({"output": 2, "first_row": 2**63 - 4}, "first_row", "must lie in [0, 2^63 - 5]"),
        ({"dtype": pb.DATA_TYPE_UINT8}, "dtype", "is DATA_TYPE_UINT8, must be DATA_TYPE_FLOAT32 or DATA_TYPE_FLOAT16"),
        ({"dtype": 9}, "dtype", "is 9, must be"),
        ({"data": pb.Tensor()}, "data.dtype", "is DATA_TYPE_UNSPECIFIED"),
    ],
)
def test_what_is_wrong_names_the_field(manifest: Manifest, fields: dict[str, object], field: str, said: str) -> None:
    request = pb.EncodeRequest(**{"data": to_message(DATA), **fields})  # type: ignore[arg-type]
    at_fault, description = refusal(ENCODE, request, manifest)
    assert at_fault == field
    assert said in description


def test_rows_are_looked_at_only_once_the_output_is_sound(manifest: Manifest) -> None:
    assert refusal(ENCODE, pb.EncodeRequest(output=9), manifest)[0] == "output"  # type: ignore[arg-type]
    assert refusal(ENCODE, pb.EncodeRequest(), manifest) == ("data", "is missing")


@pytest.mark.parametrize("output", [pb.ENCODE_OUTPUT_SAMPLE, pb.ENCODE_OUTPUT_MOMENTS])
def test_a_model_without_a_posterior_has_only_means(meager: Manifest, output: "pb.EncodeOutput.ValueType") -> None:
    request = pb.EncodeRequest(data=to_message(DATA.reshape(5, 16)), output=output)
    with pytest.raises(PreconditionFailed) as refused:
        ENCODE.parse(request, meager, LIMITS)
    assert refused.value.reason == "NO_POSTERIOR"
    request.output = pb.ENCODE_OUTPUT_MEAN
    assert len(ENCODE.parse(request, meager, LIMITS)) == 5


def test_a_reply_of_moments_is_twice_as_long(manifest: Manifest) -> None:
    assert ENCODE.reply_bytes(_rows(manifest), manifest) == 5 * 3 * 4
    assert ENCODE.reply_bytes(_rows(manifest, output=pb.ENCODE_OUTPUT_MOMENTS), manifest) == 2 * 5 * 3 * 4


def test_codes_take_half_the_bytes_of_latents_and_a_model_that_has_them(manifest: Manifest) -> None:
    coded = manifest.model_copy(update={"posterior": "none", "codes": Codes(levels=(5, 9, 3))})
    rows = _rows(coded, output=pb.ENCODE_OUTPUT_CODES)
    assert rows.codes
    assert ENCODE.reply_bytes(rows, coded) == 5 * 3 * 2
    with pytest.raises(PreconditionFailed) as refused:
        _rows(manifest, output=pb.ENCODE_OUTPUT_CODES)
    assert refused.value.reason == "NO_CODES"
