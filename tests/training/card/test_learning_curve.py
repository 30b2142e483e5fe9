import numpy as np

from training.card.learning_curve import LearningCurve, Point, learning_curve_picture, learning_curves

FALLING = LearningCurve(tuple(Point(10 * epoch, 100 / epoch, None) for epoch in range(1, 30)))
BEST = LearningCurve(
    tuple(Point(10 * epoch, 100 / epoch, None if epoch == 3 else abs(epoch - 12) + 9.0) for epoch in range(1, 30)), 11
)


def test_validation_rows_are_shown_where_there_are_some() -> None:
    plain, validated = learning_curve_picture(FALLING), learning_curve_picture(BEST)
    assert plain.file == validated.file == "learning_curve.png"
    assert "validation" not in plain.caption
    assert "validation rows is of the averaged weights" in validated.caption
    assert (plain.pixels != validated.pixels).any()


def test_the_best_epoch_is_marked() -> None:
    marked, plain = (learning_curve_picture(curve).pixels for curve in (BEST, BEST._replace(best=None)))
    assert (marked != plain).any()


def test_equal_curves_give_equal_pixels() -> None:
    np.testing.assert_array_equal(learning_curve_picture(BEST).pixels, learning_curve_picture(BEST).pixels)


def test_a_loss_that_is_not_in_nats_says_so() -> None:
    other = FALLING._replace(title="loss of the generator", lower_is_better=False)
    nats, generator = learning_curve_picture(FALLING), learning_curve_picture(other)
    assert (nats.pixels != generator.pixels).any()
    assert "The loss of the generator" in generator.caption
    assert "a lower loss is not a better model" in generator.caption
    assert "KL" not in generator.caption
    mixed, alike = learning_curves([("a", FALLING), ("b", other)]), learning_curves([("a", FALLING), ("b", FALLING)])
    assert (mixed != alike).any()  # the axis is just "loss"


def test_several_runs_are_drawn_over_one_another() -> None:
    both = learning_curves([("falling", FALLING), ("best", BEST)])
    assert (both != learning_curves([("falling", FALLING), ("best", FALLING)])).any()
