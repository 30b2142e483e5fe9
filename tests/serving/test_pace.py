"""What is learned of how long batches take."""

import pytest

from serving.pace import Pace


def test_knows_nothing_at_first() -> None:
    pace = Pace()
    assert pace.seconds(1) is None
    assert pace.cycle_seconds(64) is None


def test_takes_the_next_larger_size_for_one_it_has_not_seen() -> None:
    pace = Pace()
    pace.learn(1, 0.001)
    pace.learn(64, 0.010)
    assert pace.seconds(1) == 0.001
    assert pace.seconds(33) == pace.seconds(3) == 0.010


def test_scales_the_largest_size_it_has_seen() -> None:
    pace = Pace()
    pace.learn(4, 0.001)
    assert pace.seconds(64) == pytest.approx(0.016)


def test_follows_what_it_sees() -> None:
    pace = Pace()
    for seconds in [0.001] + 60 * [0.002]:
        pace.learn(8, seconds)
    assert pace.seconds(8) == pytest.approx(0.002, rel=0.01)


def test_a_cycle_is_a_batch_until_it_is_measured() -> None:
    pace = Pace()
    pace.learn(64, 0.010)
    assert pace.cycle_seconds(64) == 0.010
    pace.learn_cycle(0.015)
    assert pace.cycle_seconds(64) == 0.015


def test_one_that_was_held_up_counts_little() -> None:
    pace = Pace()
    for seconds in [0.001] * 20 + [10.0]:
        pace.learn(8, seconds)
    assert pace.seconds(8) == pytest.approx(0.0012)
