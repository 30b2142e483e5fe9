import numpy as np
import pytest

from tests.training.card.conftest import Subject
from training.card.plane import _basis, latent_picture

RANDOM = np.random.default_rng(0)


def test_two_dimensions_are_shown_as_they_are() -> None:
    basis = _basis(RANDOM.normal(size=(50, 2)), np.arange(50) % 3)
    np.testing.assert_array_equal(basis.directions, np.eye(2))
    assert basis.choice == "axes"


def test_without_classes_the_widest_directions_are_shown() -> None:
    means = RANDOM.normal(size=(400, 5)) * [0.1, 3.0, 0.2, 0.1, 2.0]
    basis = _basis(means, None)
    np.testing.assert_allclose(np.abs(basis.directions), np.eye(5)[:, [1, 4]], atol=0.1)
    assert basis.choice == "widest"


def test_classes_are_shown_from_where_they_part() -> None:
    labels = np.arange(400) % 3
    means = RANDOM.normal(size=(400, 5)) * [0.3, 9.0, 0.3, 9.0, 9.0]
    means[:, [0, 2]] += np.array([[0, 2], [-2, -1], [2, -1]])[labels]
    basis = _basis(means, labels)
    assert basis.choice == "classes"
    np.testing.assert_allclose(basis.directions.T @ basis.directions, np.eye(2), atol=1e-12)
    assert np.abs(basis.directions[[1, 3, 4]]).max() < 0.1


@pytest.mark.parametrize("labels", [np.zeros(400, np.int64), np.arange(400) % 2, np.arange(400)])
def test_classes_that_span_no_plane_are_not_looked_for(labels: np.ndarray) -> None:
    assert _basis(RANDOM.normal(size=(400, 5)), labels).choice == "widest"


def test_collapsed_dimensions_are_no_obstacle() -> None:
    means = np.concatenate([RANDOM.normal(size=(400, 3)), np.zeros((400, 3))], axis=1)
    for labels in (None, np.arange(400) % 4):
        assert np.isfinite(_basis(means, labels).directions).all()


def test_the_map_tells_what_it_shows(images: Subject) -> None:
    caption = latent_picture(images.served, images.rows).caption
    assert caption.startswith("80 held-out rows, one draw from each posterior, coloured by class")
    assert "that separate classes most" in caption


@pytest.mark.parametrize(("classes", "coloured"), [(1, False), (2, True), (20, True), (21, False), (40, False)])
def test_only_classes_that_are_coloured_are_told_as_such(images: Subject, classes: int, coloured: bool) -> None:
    picture = latent_picture(images.served, images.rows._replace(test_labels=np.arange(80) % classes))
    assert ("coloured by class" in picture.caption) == coloured
    assert (f"{classes} classes are too many" in picture.caption) == (classes > 20)
    wide = picture.pixels.reshape(-1, 3).astype(int)
    strong = np.unique(wide[np.ptp(wide, axis=1) > 60] // 64, axis=0)
    assert (len(strong) > 5) == coloured  # one blue has few shades


def test_classes_go_by_their_names(images: Subject) -> None:
    numbered, named = (latent_picture(images.served, images.rows, names) for names in ((), ("cat", "dog", "a fox")))
    assert (numbered.pixels.shape, numbered.caption) == (named.pixels.shape, named.caption)
    assert (numbered.pixels != named.pixels).any()


def test_anomalies_are_shown_among_held_out_rows(images: Subject) -> None:
    labels = np.full(30, 7)
    with_anomalies = images.rows._replace(anomalies=images.rows.test[:30], anomaly_labels=labels)
    picture = latent_picture(images.served, with_anomalies)
    assert picture.caption.startswith("110 held-out rows, anomalies among them, one draw from each posterior")
    assert (picture.pixels != latent_picture(images.served, images.rows).pixels).any()
