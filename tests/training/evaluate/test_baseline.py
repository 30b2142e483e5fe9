from math import log

import numpy as np
import pytest
from scipy.stats import binom, norm

from training.evaluate import baseline
from training.evaluate.baseline import without_latents
from training.likelihoods import likelihood_of
from training.likelihoods.likelihood import Likelihood
from training.scaling import Scaling
from vaeserve.package.data_spec import DataSpec

RANDOM = np.random.default_rng(0)
GREY = DataSpec(kind="image", shape=(2, 2, 1), dtype="uint8", minimum=0, maximum=255)
COUNTS = GREY.model_copy(update={"maximum": 16.0})
TABLE = DataSpec(kind="table", shape=(3,), dtype="float32", minimum=-1e30, maximum=1e30)


def test_pictures_are_gaussian_about_the_mean_row_with_one_scale() -> None:
    train, test = (RANDOM.normal([40, 60, 80, 100], 9, (3000, 4)).round().astype(np.uint8) for _ in range(2))
    scale = train.var(0).mean() ** 0.5
    wanted = -norm.logpdf(test, train.mean(0), scale).sum(1).mean()
    pictures = (rows.reshape(-1, 2, 2, 1) for rows in (train, test))
    assert without_latents("gaussian", GREY, *pictures) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("family", ["gaussian", "logistic"])
def test_where_levels_are_equally_probable_that_is_better(family: str) -> None:
    train, test = (RANDOM.integers(0, 2, (500, 2, 2, 1)).astype(np.uint8) * 255 for _ in range(2))
    assert without_latents("gaussian", GREY, train, test) == pytest.approx(4 * log(256))
    found = without_latents(family, GREY, train, test)
    assert found is not None
    assert found <= 4 * log(256)


def test_a_table_has_a_scale_a_column() -> None:
    train, test = ((RANDOM.normal(size=(500, 3)) * [1, 1e4, 1e-3] + [5, 1e6, 0]).astype(np.float32) for _ in range(2))
    wanted = -norm.logpdf(test, train.mean(0, dtype=float), train.std(0, dtype=float)).sum(1).mean()
    assert without_latents("gaussian", TABLE, train, test) == pytest.approx(wanted, rel=1e-3)


def test_counts_are_binomial_by_the_mean_row() -> None:
    train, test = (RANDOM.binomial(16, [0.1, 0.3, 0.6, 0.9], (2000, 4)).astype(np.uint8) for _ in range(2))
    wanted = -binom.logpmf(test, 16, train.mean(0) / 16).sum(1).mean()
    pictures = (rows.reshape(-1, 2, 2, 1) for rows in (train, test))
    assert without_latents("binomial", COUNTS, *pictures) == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("family", [None, "own", "unknown"])
def test_a_family_of_somebody_elses_has_none(family: str | None) -> None:
    assert without_latents(family, GREY, np.zeros((9, 2, 2, 1), np.uint8), np.zeros((9, 2, 2, 1), np.uint8)) is None


def test_wide_rows_are_scored_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    counted, made = list[int](), likelihood_of

    def counting(family: str, data: DataSpec, scaling: Scaling) -> Likelihood:
        likelihood = made(family, data, scaling)
        likelihood.register_forward_pre_hook(lambda _, given: counted.append(len(given[0])))
        return likelihood

    monkeypatch.setattr(baseline, "likelihood_of", counting)
    wide = GREY.model_copy(update={"axes": (128, 128, 3)})
    rows = RANDOM.integers(0, 256, (30, 128, 128, 3)).astype(np.uint8)
    assert without_latents("gaussian", wide, rows, rows) is not None
    assert counted == [5] * 6
