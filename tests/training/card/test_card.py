import re

import pytest

from tests.training.card.conftest import BUDGET, Subject
from tests.training.evaluate.conftest import LinearGaussian, affine_prior, codes
from training.card.about import About
from training.card.card import _dimensions, card
from training.card.readme import readme_text
from training.evaluate.evidence import evaluate_pair

MEGABYTE = 2**20


def shown(files: dict[str, bytes]) -> set[str]:
    return set(re.findall(r"\]\(([^)]+)\)", files["README.md"].decode()))


def test_the_card_shows_every_picture_that_it_comes_with(images: Subject, about: About) -> None:
    files = card(*images, about)
    assert set(files) == shown(files) | {"README.md"}
    assert shown(files) == {
        "reconstructions.png",
        "samples.png",
        "traversals.png",
        "interpolations.png",
        "dimensions.png",
        "latents.png",
    }
    assert all(content.startswith(b"\x89PNG") for name, content in files.items() if name.endswith(".png"))
    assert sum(map(len, files.values())) < MEGABYTE
    assert card(*images, about) == files


def test_a_tables_card_has_columns_instead_of_images(
    table: Subject, about: About, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = table.served.data.model_copy(update={"columns": ("a", "b", "c", "d", "e", "f")})
    monkeypatch.setattr(table.served, "data", named)
    files = card(*table, about)
    assert shown(files) == {"samples.png", "correlations.png", "traversals.png", "dimensions.png", "latents.png"}
    assert "| f | " in files["README.md"].decode()


def test_dimensions_are_ordered_by_kl_or_without_a_posterior_by_response(
    model: LinearGaussian, table: Subject, about: About
) -> None:
    served, rows, evaluation = table
    assert _dimensions(served, rows, evaluation).unit == "nats"
    served = codes(model.weights)
    evaluation = evaluate_pair(served, rows, BUDGET)
    assert _dimensions(served, rows, evaluation).unit == "%"
    text = readme_text(served, evaluation, about, [], [])
    assert "no posterior" in text
    assert "`standard` (N(0, I), which the latents need not follow)." in text


def test_a_pair_that_learned_its_prior_does_not_claim_the_standard_one(
    model: LinearGaussian, table: Subject, about: About
) -> None:
    _, rows, _ = table
    served = model.served(priors={"learned": affine_prior(0.8, 0.3)}, model_prior="learned")
    evaluation = evaluate_pair(served, rows, BUDGET)
    assert _dimensions(served, rows, evaluation).unit == "%"
    learned = about._replace(default_prior="learned")
    text = readme_text(served, evaluation, learned, [], []).replace("\n  ", " ")
    assert "`standard` (N(0, I), which the latents need not follow), `learned`; `learned` is the default." in text
