import numpy as np
import pytest

from tests.training.card.conftest import Subject
from training.card import image_pictures
from training.card.dimensions import by_kl
from training.card.picture import Picture
from training.card.tiles import Layout, cells
from vaeserve.rows.images import Pixels

ROOM = Layout(columns=5, lines=6)


def shows(picture: Picture, cell: Pixels) -> list[tuple[int, int]]:
    """Returns where (top, left) a picture holds a cell, searched for on the corners of cells."""
    height, width = cell.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(picture.pixels[:, :, 0], (height, width))
    corners = windows[:, :, :: height // 2, :: width // 2] == cell[:: height // 2, :: width // 2, 0]
    found = np.argwhere(corners.all((2, 3)))
    return [(y, x) for y, x in found.tolist() if (picture.pixels[y : y + height, x : x + width] == cell).all()]


def test_the_first_rows_of_each_class_stand_above_their_reconstructions(images: Subject) -> None:
    served, rows, _ = images
    picture = image_pictures.reconstructions(served, rows, ROOM)
    again = served.expectation(served.encode(rows.test[:9]).mean)
    for row in range(9):  # classes are 0, 1, 2, 0, ...
        ((top, left),) = shows(picture, cells(rows.test[row : row + 1], served.data)[0])
        ((below, under),) = shows(picture, cells(again[row : row + 1], served.data)[0])
        assert (below - top, under - left) == (58, 0)
    assert "each class" in picture.caption


def test_rows_without_classes_are_spread_over_all(images: Subject) -> None:
    rows = images.rows._replace(test_labels=None)
    picture = image_pictures.reconstructions(images.served, rows, ROOM)
    for row in (0, 79):
        assert shows(picture, cells(rows.test[row : row + 1], images.served.data)[0])


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_few_held_out_rows_are_enough(images: Subject, count: int) -> None:
    rows = images.rows._replace(test=images.rows.test[:count], test_labels=np.zeros(count, np.int64))
    for picture in image_pictures.image_pictures(images.served, rows, by_kl((0.3, 0.2, 0.1))):
        assert picture.pixels.shape[2] == 3


def test_a_rare_class_repeats_its_row(images: Subject) -> None:
    labels = np.array([7] + [3] * 79)
    picture = image_pictures.reconstructions(images.served, images.rows._replace(test_labels=labels), ROOM)
    assert len(shows(picture, cells(images.rows.test[:1], images.served.data)[0])) == 3


def test_samples_are_those_of_the_seed_that_the_caption_tells(images: Subject) -> None:
    served = images.served
    picture = image_pictures.samples(served, ROOM)
    drawn = served.expectation(served.draw_prior("standard", 0, 30))
    for cell in cells(drawn, served.data):
        assert shows(picture, cell)
    assert "seed 0" in picture.caption


def test_traversals_come_in_the_order_of_the_dimensions(images: Subject) -> None:
    served = images.served
    picture = image_pictures.traversed(served, images.rows, by_kl((0.3, 0.5, 0.0)), Layout(14, 6))
    latents = np.array([[0, 3, 0], [3, 0, 0], [0, 0, 3]], np.float32)
    first, second, left_out = cells(served.expectation(latents), served.data)
    assert shows(picture, first)[0][0] < shows(picture, second)[0][0]
    assert not shows(picture, left_out)
    assert "2 most informative of 3" in picture.caption


def test_traversals_of_codes_go_through_levels(coded: Subject) -> None:
    picture = image_pictures.traversed(coded.served, coded.rows, by_kl((0.3, 0.5, 0.0)), Layout(14, 6))
    assert "moves one latent dimension from code 0 to code 2, starting from" in picture.caption
    (lowest,) = cells(coded.served.expectation(np.array([[0, -1, 0]], np.float32)), coded.served.data)
    (beyond,) = cells(coded.served.expectation(np.array([[0, -3, 0]], np.float32)), coded.served.data)
    assert shows(picture, lowest)
    assert not shows(picture, beyond)


def test_interpolations_begin_and_end_at_data_of_different_classes(images: Subject) -> None:
    labels = np.asarray(images.rows.test_labels)
    starts, ends = image_pictures._partners(labels, 80, 6)
    assert (labels[starts] != labels[ends]).all()
    picture = image_pictures.interpolations(images.served, images.rows, ROOM)
    for row in (*starts, *ends):
        assert shows(picture, cells(images.rows.test[row : row + 1], images.served.data)[0])
