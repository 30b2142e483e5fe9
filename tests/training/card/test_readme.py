import re
import textwrap
import tomllib

import numpy as np
import pytest

from tests.training.card.conftest import Subject
from training.card.about import About
from training.card.picture import Picture
from training.card.readme import readme_text
from training.card.table_pictures import Column

PICTURE = Picture("Samples", "samples.png", np.zeros((1, 1, 3), np.uint8), "What `vae sample` draws. " * 10)


def text(subject: Subject, about: About, columns: list[Column] | None = None) -> str:
    return readme_text(subject.served, subject.evaluation, about, [PICTURE], columns or [])


def test_it_says_what_the_model_is(images: Subject, about: About) -> None:
    found = text(images, about)
    assert found.startswith(
        "# tiny\n\nA variational autoencoder that maps images of shape 4 x 4 x 1 (uint8, 0 to 16) to 3 latent "
    )
    assert "- **Data**: made-up rows. 90 rows to train on, 80 held out.\n" in found
    assert "- **Likelihood**: binomial (trials 16).\n" in found
    assert "| negative ELBO |" in found
    assert "![Samples](samples.png)" in found


def test_it_says_how_many_levels_codes_have(coded: Subject, about: About) -> None:
    found = " ".join(text(coded, about).split())
    assert "each value is one of 3 to 9 levels, so a row takes at most 7.1 bits. Encode answers codes" in found


def test_prose_fits_a_terminal(images: Subject, about: About) -> None:
    lines = text(images, about._replace(data="a very long title " * 20)).splitlines()
    assert max(len(line) for line in lines if not line.startswith(("|", "    ", "!"))) <= 100


def test_settings_can_be_read_as_toml(images: Subject, about: About) -> None:
    settings = {**about.settings, "image_fit": 'a "quoted" \\ word', "target_rate": None, "learning_rate": 1e-05}
    found = text(images, about._replace(settings=settings)).partition("## How it was trained")[2]
    block = "\n".join(line for line in found.splitlines() if line.startswith("    "))
    expected = {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()}
    del expected["target_rate"]
    assert tomllib.loads(textwrap.dedent(block)) == expected
    assert "`vae train --preset digits`" in " ".join(found.split())  # other presets have other defaults


def test_a_run_of_defaults_says_so(images: Subject, about: About) -> None:
    assert "every setting at its default" in text(images, about._replace(settings={}))


def test_a_table_is_described_by_columns(table: Subject, about: About) -> None:
    columns = [
        Column("a|b", (1234.5, 210.0), (1200.0, 100.0), 0.876),
        Column("tiny", (0.00123, 0.0004), (0.001, 0.0), 0.5),
        Column("still", (3.0, 0.0), (3.0, 0.0), None),
    ]
    found = text(table, about, columns)
    assert "table rows of shape 6 (float32) to 2 latent values" in " ".join(found.split())
    assert "1e+30" not in found
    assert "| a\\|b | 1234 (210) | 1200 (100) | 0.88 |" in found
    assert "| tiny | 0.001230 (0.000400) | 0.001000 (0.000000) | 0.50 |" in found
    assert "| still | 3.00 (0.00) | 3.00 (0.00) | - |" in found
    many = text(table, about, [columns[0]] * 70)
    assert many.count("a\\|b") == 60
    assert "Shown are the first 60 of 70 columns." in many


def test_priors_are_listed_and_the_example_draws_from_the_one_that_the_brief_recommends(
    table: Subject, about: About
) -> None:
    found = text(table, about._replace(default_prior="narrow"))
    assert "`standard` (N(0, I)), `narrow`; `narrow` is the default." in found
    assert "N(0, I) will do" in " ".join(found.split())
    assert "--prior standard --out samples.npy" in found
    assert "--prior" not in text(table, about)
    standard, narrow = table.evaluation.priors
    bad = standard.model_copy(
        update={"samples": tuple(drawn.model_copy(update={"coverage": 0.1}) for drawn in standard.samples)}
    )
    better = table._replace(evaluation=table.evaluation.model_copy(update={"priors": (bad, narrow)}))
    found = text(better, about)
    assert ": use --prior narrow" in " ".join(found.split())
    assert "--prior narrow --out samples.npy" in found
    assert found.count("--prior ") == 2


def test_what_was_left_out_is_listed_as_far_as_anyone_reads(images: Subject, about: About) -> None:
    found = text(images, about._replace(skipped=tuple(f"photo_{n}.png: <b>cut</b> short" for n in range(25))))
    assert "Left out of the data, 25 in all:" in found
    assert "photo\\_19.png: \\<b>cut\\</b> short" in found
    assert "photo\\_20" not in found
    assert "- and 5 more" in found
    assert "Left out" not in text(images, about)


def test_what_is_to_be_known_of_the_data_is_told(images: Subject, about: About) -> None:
    found = text(images, about._replace(notes=("t.csv: column 'a' keeps few",)))
    assert "About the data:\n\n- t.csv: column 'a' keeps few" in found
    assert "About the data" not in text(images, about)


def test_limits_come_from_the_figures(images: Subject, about: About) -> None:
    holed = images.evaluation.priors[0].model_copy(update={"hole_fraction": 0.42})
    evaluation = images.evaluation.model_copy(update={"priors": (holed,), "active_units": 1})
    found = readme_text(images.served, evaluation, about, [], [])
    assert "42% of the draws from prior `standard` lie where no row's latent does." in found
    assert "Idle latent dimensions: 2 of 3." in found
    whole = holed.model_copy(update={"hole_fraction": 0.01})
    found = readme_text(
        images.served, evaluation.model_copy(update={"priors": (whole,), "active_units": 3}), about, [], []
    )
    assert "lie where no row" not in found.partition("## Limits")[2]
    assert "Idle" not in found


@pytest.mark.parametrize(("model", "article"), [("autoencoder", "An"), ("linear autoencoder", "A")])
def test_the_article_fits_the_model(images: Subject, about: About, model: str, article: str) -> None:
    assert f"\n{article} {model} that " in text(images, about._replace(model=model))


def test_the_python_example_is_python(images: Subject, about: About) -> None:
    found = re.search(r"    with Client.*?(?=\n\n)", text(images, about), re.DOTALL)
    assert found is not None
    compile(textwrap.dedent(found[0]), "README.md", "exec")


def test_what_can_be_pasted_names_the_model(images: Subject, about: About) -> None:
    found = text(images, about)
    assert "    vae sample --target 127.0.0.1:50051 --model tiny --count 64 --seed 0" in found
    assert all('model="tiny"' in line for line in found.splitlines() if "client." in line)
