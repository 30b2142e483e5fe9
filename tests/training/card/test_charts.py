import matplotlib as mpl
import numpy as np
import pytest

from training.card.charts import Cloud, Map, heat, histograms, latent_map, shortened, weights_chart
from vaeserve.rows.images import Pixels

RANDOM = np.random.default_rng(0)
CLOUD = RANDOM.normal(size=(50, 2))


def plane(classes: int, priors: int = 1) -> Map:
    labels = np.arange(50) % classes if classes else None
    return Map(CLOUD, labels, [Cloud(name, CLOUD) for name in ("standard", "mixture")[:priors]], ("z0", "z1"))


def colours(pixels: Pixels) -> int:
    """Returns how many strong colours are there."""
    wide = pixels.reshape(-1, 3).astype(int)
    strong = wide[np.ptp(wide, axis=1) > 60] // 64
    return len(np.unique(strong, axis=0))


def test_the_pixels_depend_on_the_numbers_alone() -> None:
    before = latent_map(plane(10))
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.dpi": 30}):
        np.testing.assert_array_equal(latent_map(plane(10)), before)
        assert mpl.rcParams["font.size"] == 20
    assert colours(before) > 20  # of ten classes; their edges are paler


def test_classes_that_cannot_be_told_apart_share_a_colour_and_each_prior_has_a_panel() -> None:
    pixels = latent_map(plane(50, priors=2))
    assert colours(pixels) < 10
    assert pixels.shape[1] > 800


def test_a_bar_is_as_long_as_its_value_and_idle_ones_are_grey() -> None:
    pixels = weights_chart(np.array([2.0, 1.0, 0.9]), ["z2", "z0", "z1"], 2, "nats").astype(int)
    blue = pixels[:, :, 2] - pixels[:, :, 0] > 80
    lengths = blue.sum(0)
    assert lengths.max() == pytest.approx(2 * np.median(lengths[lengths.size // 3 : lengths.size // 2 + 60]), rel=0.05)
    assert not blue[:, -100:].any()


def test_no_columns_name_breaks_a_chart() -> None:
    names = ["$x^$", "\\frac{", "温度", "a" * 200, ""]
    still = np.zeros(3)
    matrix = heat([("one", np.eye(5))], names, names, "unit")
    panels = histograms(names, [CLOUD[:, 0]] + [still] * 4, {"standard": [CLOUD[:, 1]] + [still] * 4})
    assert matrix.shape[1] == panels.shape[1] == 860


def test_a_name_that_is_too_long_is_shortened() -> None:
    assert shortened("temperature", 8) == "tempera\N{HORIZONTAL ELLIPSIS}"
    assert shortened("short", 8) == "short"
