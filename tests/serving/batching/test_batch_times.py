"""What is learned of how long batches take."""

import time

import pytest

from serving.batching.batch_times import BatchTimes
from serving.batching.load import Load


def test_knows_nothing_at_first() -> None:
    times = BatchTimes(64)
    assert times.at_most(1) is None
    assert times.seconds_until(64, is_busy=False) is None
    assert times.price(1) == 1


def test_bounds_a_size_that_it_has_not_seen() -> None:
    times = BatchTimes(64)
    times.learn(1, 0.001)
    times.learn(64, 0.010)
    assert times.at_most(1) == times.at_least(1) == 0.001
    assert times.at_most(33) == times.at_most(3) == 0.010
    assert times.at_most(65) is None
    assert times.at_least(32) == pytest.approx(0.005)  # half as many rows
    assert times.at_least(2) == 0.001
    assert times.at_least(1000) == 0.010


def test_follows_what_it_sees() -> None:
    times = BatchTimes(64)
    for seconds in [0.001] + 60 * [0.002]:
        times.learn(8, seconds)
    assert times.at_most(8) == pytest.approx(0.002, rel=0.01)


def test_waiting_rows_take_a_cycle_for_each_full_batch_before_theirs() -> None:
    times = BatchTimes(64)
    times.learn(64, 0.010)
    times.learn(1, 0.001)
    assert times.seconds_until(1, is_busy=False) == 0.001
    assert times.seconds_until(2 * 64 + 1, is_busy=False) == pytest.approx(2 * 0.010 + 0.001)
    for rows, now in ((64, 100.0), (1, 100.010), (64, 100.015), (2, 100.025), (64, 100.030)):
        times.begin(rows, now, is_backlogged=True)
    assert times.seconds_until(2 * 64 + 1, is_busy=False) == pytest.approx(2 * 0.015 + 0.001)


def test_a_batch_that_runs_ends_when_the_next_one_is_due() -> None:
    times = BatchTimes(1)
    times.learn(1, 60.0)
    times.begin(1, time.monotonic() - 20, is_backlogged=False)
    assert times.seconds_until(1, is_busy=True) == pytest.approx(100, abs=5)


def test_a_small_batch_that_runs_is_not_taken_for_a_full_one() -> None:
    times = BatchTimes(64)
    times.learn(64, 60.0)
    times.learn(1, 10.0)
    times.begin(1, time.monotonic() - 5, is_backlogged=True)
    assert times.seconds_until(1, is_busy=True) == pytest.approx(15, abs=2)
    assert times.seconds_until(0, is_busy=True) == pytest.approx(15, abs=2)


def test_prices_rows_in_those_of_a_full_batch() -> None:
    times = BatchTimes(64)
    times.learn(64, 0.064)
    assert times.price(1) == 1  # it may be: a try shows it
    times.learn(1, 0.012)
    assert [times.price(rows) for rows in (1, 8, 32, 64)] == pytest.approx([12, 12, 32, 64])


def test_a_full_batch_ends_when_it_did_before_and_not_when_the_next_full_one_is_due() -> None:
    times = BatchTimes(64)
    times.learn(64, 60.0)
    times.learn(1, 5.0)
    now = time.monotonic() - 1000
    for _ in range(5):
        times.begin(64, now, is_backlogged=True)
        for at in range(60, 160, 5):
            times.begin(1, now + at, is_backlogged=True)
        now += 160
    times.begin(64, time.monotonic(), is_backlogged=True)
    assert times.seconds_until(1, is_busy=True) == pytest.approx(65, abs=5)


def test_batches_that_run_one_after_the_other_take_a_cycle_each() -> None:
    times = BatchTimes(4)
    times.learn(4, 1.0)
    now = time.monotonic()
    for begun in range(20):  # eight batches take ten seconds
        times.begin(4, now + 10 * begun, 8, is_backlogged=True)
    assert times.seconds_until(4 + 4 * 80, is_busy=False) == pytest.approx(100 + 1)
    assert times.seconds_until(4, is_busy=True) == pytest.approx(190 + 10 + 1, abs=5)  # the last eight began at 190


def test_a_backlog_that_was_served_or_left_tells_nothing_of_cycles() -> None:
    for small in (True, False):
        times = BatchTimes(64)
        times.learn(64, 0.1)
        times.begin(64, 1000.0, is_backlogged=True)
        if small:
            times.begin(32, 1000.1, is_backlogged=False)
        times.begin(64, 5000.0, is_backlogged=False)  # it had been idle for long
        seconds = times.seconds_until(65, is_busy=False)
        assert seconds is not None
        assert seconds <= 0.41


def test_only_what_waited_tells_of_cycles() -> None:
    times = BatchTimes(1)
    times.learn(1, 0.010)
    for now in (100.0, 200.0):
        times.begin(1, now, is_backlogged=False)
    assert times.seconds_until(3, is_busy=False) == pytest.approx(0.030)


def test_one_that_was_held_up_counts_little() -> None:
    times = BatchTimes(64)
    for seconds in [0.001] * 20 + [10.0]:
        times.learn(8, seconds)
    assert times.at_most(8) == pytest.approx(0.0012)


def test_light_rows_only_say_what_heavy_ones_take_at_least() -> None:
    times = BatchTimes(64)
    times.learn(1, 0.001)
    times.learn(64, 0.010)
    assert times.at_most(1, 16) is None
    assert times.at_least(1, 16) == 0.001
    times.learn(1, 1.0, 16)
    assert times.at_most(1, 16) == times.at_least(1, 16) == 1.0
    assert times.at_most(1) == times.at_least(1) == 0.001


def test_heavy_rows_bound_the_times_of_lighter_ones() -> None:
    times = BatchTimes(64)
    times.learn(2, 1.0, 16)
    assert times.at_most(2, 8) == times.at_most(1, 1) == 1.0
    assert times.at_most(4, 8) is None
    assert times.at_least(2, 8) == pytest.approx(0.25)  # half the weight: at least a quarter of the time
    assert times.at_least(1, 8) == pytest.approx(0.125)
    assert times.at_least(2, 32) == 1.0
    times.learn(1, 0.6, 9)
    assert times.at_most(1, 8) == 0.6
    assert times.at_least(1, 8) == pytest.approx(0.3)


def test_rows_of_nearly_the_same_weight_are_learned_together() -> None:
    times = BatchTimes(64)
    times.learn(1, 1.0, 33)
    assert times.at_most(1, 45) == 1.0  # a time that grows as the square of the weight has not doubled
    assert times.at_most(1, 46) is None


def test_prices_heavy_rows_in_weight() -> None:
    times = BatchTimes(64)
    times.learn(1, 0.001)
    times.learn(4, 4.0, 16)
    times.learn(1, 1.5, 16)
    assert [times.price(rows, 16) for rows in (1, 2, 4)] == pytest.approx([24, 32, 64])
    times.learn(1, 9.0, 100)
    assert times.price(1, 100) == 100  # it is a full batch


def test_rows_of_other_keys_come_before_in_batches_of_their_own() -> None:
    others = [Load(5, 16), Load(2, 1)]
    for executors, share in ((1, 1.0), (2, 0.5)):
        times = BatchTimes(64, executors)
        times.learn(4, 3.0, 16)
        times.learn(1, 1.0, 16)
        times.learn(1, 0.1)
        assert times.seconds_until(1, is_busy=False, others=others) == pytest.approx(share * (3.0 + 1.0 + 0.1) + 0.1)
        assert times.seconds_until(2, is_busy=False, row_weight=16) == pytest.approx(1.5)  # half of four, at least
        assert times.seconds_until(5, is_busy=False, row_weight=16) == pytest.approx(4.0)


def test_only_full_batches_of_a_key_that_follow_one_another_tell_of_cycles() -> None:
    times = BatchTimes(8)
    times.learn(1, 1.0, 8)
    times.learn(1, 0.5, 5)
    for now, weight, key in ((100.0, 8, "a"), (101.5, 5, "b"), (102.0, 8, "a"), (103.5, 8, "a"), (105.0, 8, "a")):
        times.begin(1, now, is_backlogged=True, row_weight=weight, key=key)
    assert times.seconds_until(3, is_busy=False, row_weight=8) == pytest.approx(2 * 1.5 + 1.0)
    assert times.seconds_until(3, is_busy=False, row_weight=5) == pytest.approx(3 * 0.5)


def test_a_full_batch_of_heavy_rows_ends_when_those_did() -> None:
    times = BatchTimes(64)
    times.learn(64, 1.0)
    times.learn(1, 50.0, 64)
    now = time.monotonic()
    times.begin(64, now - 100, is_backlogged=True, key="light")
    times.begin(1, now - 98, is_backlogged=True, row_weight=64, key="heavy")
    times.begin(1, now - 38, is_backlogged=True, row_weight=64, key="heavy")
    times.begin(64, now, is_backlogged=True, key="light")
    assert times.seconds_until(1, is_busy=True) == pytest.approx(2 + 1 / 64, abs=0.5)
    times.begin(1, time.monotonic(), is_backlogged=True, row_weight=64, key="heavy")
    assert times.seconds_until(1, is_busy=True) == pytest.approx(58, abs=3)


def test_tells_guesses_from_what_has_run() -> None:
    times = BatchTimes(64)
    times.learn(1, 1.0)
    assert times.have_run([Load(9)], is_busy=False)
    assert not times.have_run([Load(1), Load(1, 16)], is_busy=False)
    times.begin(1, 0.0, is_backlogged=False, row_weight=16)
    assert not times.have_run([Load(1)], is_busy=True)
    assert times.have_run([Load(1)], is_busy=False)
    times.learn(1, 1.0, 16)
    times.begin(1, 0.0, is_backlogged=False, row_weight=16)
    assert times.have_run([Load(1), Load(1, 16)], is_busy=True)
