"""The rules of a model, with whatever names a protocol gives the fields."""

import math
from pathlib import Path

import pytest

from serving.models.rules import (
    check_fingerprint,
    check_posterior,
    check_rows,
    check_takes_images,
    check_temperature,
    choose_prior,
    noise_of,
)
from vaeserve.errors import InvalidInput, PreconditionFailed
from vaeserve.package.directory import ModelPackage
from vaeserve.package.manifest import Manifest
from vaeserve.rows.noise import RowRange


@pytest.fixture
def manifest(tiny: Path) -> Manifest:
    return ModelPackage.open(tiny).manifest


def test_a_call_takes_so_many_rows_and_no_more() -> None:
    check_rows("rows", 8, 8)
    with pytest.raises(InvalidInput, match=r"^rows: asks for 9 rows, one call takes at most 8: split it$"):
        check_rows("rows", 9, 8)


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


def test_rows_have_numbers_below_two_to_the_63(manifest: Manifest) -> None:
    assert noise_of("n", 2**63 - 4, 4, 0) == RowRange(0, 2**63 - 4, 4)
    assert noise_of("n", 0, 4, None).seed != noise_of("n", 0, 4, None).seed
    for first_row in (-1, 2**63 - 3):
        with pytest.raises(InvalidInput, match=r"must lie in \[0, 2\^63 - 4\]$"):
            noise_of("n", first_row, 4, 0)
