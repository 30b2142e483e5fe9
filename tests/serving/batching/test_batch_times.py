"""What is learned of how long batches take."""

import time

import pytest

from serving.batching.batch_times import BatchTimes


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
