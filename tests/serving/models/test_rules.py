"""The rules of a model, with whatever names a protocol gives the fields."""

import math
from pathlib import Path

import pytest

from serving.models.rules import (
    check_fingerprint,
    check_pixels,
    check_posterior,
    check_rows,
    check_takes_images,
    check_temperature,
    check_weight,
    choose_prior,
    noise_of,
)
from vaeserve.errors import InvalidInput, PreconditionFailed
from vaeserve.package.directory import ModelPackage
from vaeserve.package.manifest import Manifest
from vaeserve.package.sizes import PictureSize, PictureSizes
from vaeserve.rows.noise import RowRange

SIZES = PictureSizes(multiple=8, minimum=16, maximum=256, default=PictureSize(32, 48))


@pytest.fixture
def manifest(tiny: Path) -> Manifest:
    return ModelPackage.open(tiny).manifest


def test_a_call_takes_so_many_rows_and_no_more() -> None:
    check_rows("rows", 8, 8)
    with pytest.raises(InvalidInput, match=r"^rows: asks for 9 rows, one call takes at most 8: split it$"):
        check_rows("rows", 9, 8)


def test_rows_of_a_size_count_as_more() -> None:
    check_weight("rows", 4, PictureSize(32, 32), SIZES, 16)
    counted = "asks for 5 rows of 32 x 32, which count as 20 of 16 x 16; one call takes at most 16: split it"
    with pytest.raises(InvalidInput, match=f"^rows: {counted}$"):
        check_weight("rows", 5, PictureSize(32, 32), SIZES, 16)
    check_weight("rows", 1, PictureSize(256, 256), SIZES, 16)


def test_a_picture_that_there_is_no_memory_for() -> None:
    def bytes_of(size: PictureSize) -> int:
        return size.pixels * 2**17

    small, large = PictureSize(64, 128), PictureSize(128, 256)
    for limit in (0, small.pixels):
        check_pixels("x", "encoder", small, SIZES, limit_pixels=limit, bytes_of=bytes_of)
    said = r"^x: is 256 x 128 pixels, which take about 4 GiB in the encoder; there is memory for 9,000 pixels: 136 x 64"
    with pytest.raises(InvalidInput, match=said + r" would fit in 1.06 GiB$"):
        check_pixels("x", "encoder", large, SIZES, limit_pixels=9000, bytes_of=bytes_of)
    with pytest.raises(InvalidInput, match=r"256 x 128 pixels; there is memory for 300 pixels: 16 x 16 would fit$"):
        check_pixels("x", "decoder", large, SIZES, limit_pixels=300)


@pytest.mark.parametrize("limit", [256, 300, 1000, 20_000, 65_000])
def test_the_size_that_would_fit_fits(limit: int) -> None:
    for size in (PictureSize(256, 256), PictureSize(256, 16), PictureSize(16, 256), PictureSize(200, 248)):
        with pytest.raises(InvalidInput, match="would fit") as refused:
            check_pixels("x", "decoder", size, SIZES, limit_pixels=min(limit, size.pixels - 1))
        width, height = map(int, refused.value.description.split(": ")[1].split(" would")[0].split(" x "))
        assert SIZES.takes(PictureSize(height, width))
        assert height * width <= min(limit, size.pixels - 1)


def test_only_a_posterior_can_be_drawn_from(manifest: Manifest) -> None:
    check_posterior(manifest)
    with pytest.raises(PreconditionFailed, match=r"^model tiny has no posterior, only a mean$"):
        check_posterior(manifest.model_copy(update={"posterior": "none"}))


def test_latents_fit_their_own_pair_and_unsigned_ones_fit_any(manifest: Manifest) -> None:
    check_fingerprint("", manifest)
    check_fingerprint(manifest.fingerprint, manifest)
    with pytest.raises(PreconditionFailed, match=r"^the latents come from pair f{12}\.\.\., this model is "):
        check_fingerprint("f" * 64, manifest)


def test_images_are_of_pictures(manifest: Manifest) -> None:
    check_takes_images("x", manifest)
    table = manifest.data.model_copy(update={"kind": "table", "axes": (16,)})
    with pytest.raises(PreconditionFailed, match=r"^x: model tiny has table rows of shape \[16\]; encoded images have"):
        check_takes_images("x", manifest.model_copy(update={"data": table}))


def test_a_temperature_is_positive_and_bounded() -> None:
    for temperature in (5e-324, 1.0, 1e6):
        check_temperature("t", temperature)
    for temperature in (0.0, -1.0, 1.1e6, math.inf, math.nan):
        with pytest.raises(InvalidInput, match=r"^t: is "):
            check_temperature("t", temperature)


def test_a_prior_is_one_of_the_models(manifest: Manifest) -> None:
    assert choose_prior("p", "", manifest) == choose_prior("p", "standard", manifest) == "standard"
    with pytest.raises(InvalidInput, match=r"^p: '(x{128})' is unknown, must be one of standard$"):
        choose_prior("p", "x" * 1000, manifest)


def test_a_model_may_have_no_prior(manifest: Manifest) -> None:
    for name in ("", "standard"):
        with pytest.raises(PreconditionFailed, match=r"^model tiny has no prior, so nothing can be sampled") as refused:
            choose_prior("p", name, manifest.model_copy(update={"priors": (), "default_prior": ""}))
        assert refused.value.reason == "NO_PRIOR"


def test_rows_have_numbers_below_two_to_the_63(manifest: Manifest) -> None:
    assert noise_of("n", 2**63 - 4, 4, 0) == RowRange(0, 2**63 - 4, 4)
    assert noise_of("n", 0, 4, None).seed != noise_of("n", 0, 4, None).seed
    for first_row in (-1, 2**63 - 3):
        with pytest.raises(InvalidInput, match=r"must lie in \[0, 2\^63 - 4\]$"):
            noise_of("n", first_row, 4, 0)
