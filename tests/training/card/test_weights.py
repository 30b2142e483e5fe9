import numpy as np
import pytest

from training.card.dimensions import Dimensions
from training.card.weights import weights_picture


def dimensions(unit: str, count: int = 3) -> Dimensions:
    return Dimensions(tuple(range(count)), np.linspace(2, 0.1, count), unit, 2)


@pytest.mark.parametrize(
    ("unit", "title", "caption"),
    [
        ("nats", "KL by dimension", "2 of 3 dimensions have more than 0.01 nats"),
        ("%", "Response by dimension", "2 of 3 dimensions cause over 0.1 %"),
    ],
)
def test_the_unit_decides_what_the_bars_mean(unit: str, title: str, caption: str) -> None:
    picture = weights_picture(dimensions(unit))
    assert picture.title == title
    assert caption in picture.caption
    assert picture.pixels.std() > 0


def test_more_dimensions_than_bars_are_counted_all_the_same() -> None:
    assert "2 of 300 dimensions" in weights_picture(dimensions("nats", 300)).caption
