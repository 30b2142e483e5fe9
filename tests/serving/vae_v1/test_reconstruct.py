"""Reconstruct's requests -> rows."""

import pytest

from serving.engine.rows import ReconstructRows
from serving.vae_v1.reconstruct import Reconstruct
from tests.serving.vae_v1.conftest import DATA, LIMITS, refusal
from vaeserve.errors import PreconditionFailed
from vaeserve.package.manifest import Manifest
from vaeserve.rows.noise import RowRange
from vaeserve.rows.tensors import to_message
from vaeserve.v1 import vae_pb2 as pb

RECONSTRUCT = Reconstruct()


def test_a_mean_takes_no_noise_and_a_draw_its_addresses(manifest: Manifest) -> None:
    request = pb.ReconstructRequest(data=to_message(DATA), output=pb.DECODE_OUTPUT_EXPECTATION)
    rows = RECONSTRUCT.parse(request, manifest, LIMITS)
    assert isinstance(rows, ReconstructRows)
    assert (rows.noise, rows.output, rows.data.tobytes()) == (None, "expectation", DATA.tobytes())
    assert RECONSTRUCT.reply_bytes(rows, manifest) == 5 * 16 * 4
    request.latent, request.seed, request.first_row = pb.RECONSTRUCT_LATENT_SAMPLE, 0, 7
    rows = RECONSTRUCT.parse(request, manifest, LIMITS)
    assert isinstance(rows, ReconstructRows)
    assert rows.noise == RowRange(0, 7, 5)


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"data": None}, "data", "is missing"),
        ({"data": pb.Tensor()}, "data.dtype", "is DATA_TYPE_UNSPECIFIED"),
        ({"latent": 3}, "latent", "3 is not a ReconstructLatent"),
        ({"latent": 2, "first_row": -1}, "first_row", "is -1"),
        ({"output": 9}, "output", "9 is not a DecodeOutput"),
        ({"dtype": pb.DATA_TYPE_UINT8}, "dtype", "is DATA_TYPE_UINT8"),
    ],
)
def test_what_is_wrong_names_the_field(manifest: Manifest, fields: dict[str, object], field: str, said: str) -> None:
    request = pb.ReconstructRequest(**{"data": to_message(DATA), **fields})  # type: ignore[arg-type]
    at_fault, description = refusal(RECONSTRUCT, request, manifest)
    assert at_fault == field
    assert said in description


def test_a_draw_needs_a_posterior_and_images_need_pictures(meager: Manifest) -> None:
    data = to_message(DATA.reshape(5, 16))
    with pytest.raises(PreconditionFailed) as refused:
        RECONSTRUCT.parse(pb.ReconstructRequest(data=data, latent=pb.RECONSTRUCT_LATENT_SAMPLE), meager, LIMITS)
    assert refused.value.reason == "NO_POSTERIOR"
    with pytest.raises(PreconditionFailed, match=r"^output: model tiny has table rows"):
        RECONSTRUCT.parse(pb.ReconstructRequest(data=data, output=pb.DECODE_OUTPUT_PNG), meager, LIMITS)
