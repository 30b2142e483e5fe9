"""Sample's requests -> addresses of noise."""

import math

import pytest

from serving.vae_v1.sample import Sample
from tests.serving.vae_v1.conftest import CALL_ROWS, LIMITS, refusal
from vaeserve.errors import PreconditionFailed
from vaeserve.package.manifest import Manifest
from vaeserve.rows.noise import RowRange
from vaeserve.v1 import vae_pb2 as pb

SAMPLE = Sample()


def test_what_is_left_open_has_its_default(manifest: Manifest) -> None:
    rows = SAMPLE.parse(pb.SampleRequest(count=CALL_ROWS), manifest, LIMITS)
    assert (rows.temperature, rows.output, rows.include_latent, rows.prior) == (1.0, "data", False, "standard")
    assert (rows.noise.first_row, rows.noise.rows) == (0, CALL_ROWS)
    assert SAMPLE.parse(pb.SampleRequest(count=1), manifest, LIMITS).noise.seed != rows.noise.seed


def test_what_is_named_is_taken(manifest: Manifest) -> None:
    request = pb.SampleRequest(
        count=4,
        seed=0,
        first_row=2**63 - 4,
        temperature=0.5,
        prior="standard",
        include_latent=True,
        output=pb.DECODE_OUTPUT_EXPECTATION,
    )
    rows = SAMPLE.parse(request, manifest, LIMITS)
    assert rows.noise == RowRange(0, 2**63 - 4, 4)
    assert (rows.temperature, rows.output, rows.include_latent, rows.prior) == (0.5, "expectation", True, "standard")
    assert SAMPLE.reply_bytes(rows, manifest) == 4 * 4 * (16 + 3)


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"count": 0}, "count", "is 0, must be at least 1"),
        ({"count": -1}, "count", "is -1"),
        ({"count": 101}, "count", "asks for 101 rows, one call takes at most 100: split it"),
        ({"first_row": -1}, "first_row", "is -1"),
        ({"count": 2, "first_row": 2**63 - 1}, "first_row", "must lie in [0, 2^63 - 2]"),
        ({"temperature": 0.0}, "temperature", "is 0, must lie in (0, 1e+06]"),
        ({"temperature": -1.0}, "temperature", "is -1"),
        ({"temperature": math.nan}, "temperature", "is nan"),
        ({"temperature": math.inf}, "temperature", "is inf"),
        ({"temperature": 3e38}, "temperature", "is 3e+38"),
        ({"prior": "gmm"}, "prior", "'gmm' is unknown, must be one of standard"),
        ({"output": 4}, "output", "4 is not a DecodeOutput"),
        ({"dtype": 9}, "dtype", "is 9, must be"),
    ],
)
def test_what_is_wrong_names_the_field(manifest: Manifest, fields: dict[str, object], field: str, said: str) -> None:
    request = pb.SampleRequest(**{"count": 1, **fields})  # type: ignore[arg-type]
    at_fault, description = refusal(SAMPLE, request, manifest)
    assert at_fault == field
    assert said in description


def test_images_of_a_table_are_refused(meager: Manifest) -> None:
    with pytest.raises(PreconditionFailed, match=r"^output: model tiny has table rows"):
        SAMPLE.parse(pb.SampleRequest(count=1, output=pb.DECODE_OUTPUT_PNG), meager, LIMITS)
