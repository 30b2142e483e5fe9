"""The choice of threads and batch size, from made-up measurements and from a real graph."""

from serving.models.measuring import HIGHEST_BATCH_ROWS, Measurement, RunRows, cheapest, measure, thread_counts


def _points(threads: int, executors: int, microseconds: dict[int, float], speed: float = 1.0) -> list[Measurement]:
    return [
        Measurement(threads, executors, rows, cost * 1e-6, cost * 1e-6 / speed, rows * cost * 1e-6 * executors / speed)
        for rows, cost in microseconds.items()
    ]


def test_thread_counts_end_at_what_there_is() -> None:
    assert [thread_counts(cpus) for cpus in (1, 2, 6, 8)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]


def test_the_batch_is_the_largest_that_is_as_good_as_the_best() -> None:
    chosen = cheapest(_points(1, 1, {1: 2000, 2: 1100, 4: 600, 8: 400, 16: 290, 32: 295, 64: 330}))
    assert (chosen.executors, chosen.threads, chosen.batch_rows) == (1, 1, 32)


def test_what_the_server_spends_on_a_batch_counts_too() -> None:
    assert cheapest(_points(1, 1, {16: 30, 32: 28, 64: 29, 128: 50})).batch_rows == 64


def test_a_batch_that_would_keep_others_waiting_is_not_chosen() -> None:
    chosen = cheapest(_points(1, 1, {1: 9000, 2: 8000, 4: 7000, 8: 6000, 16: 5000}))
    assert chosen.batch_rows == 2


def test_threads_that_cost_more_processor_time_lose() -> None:
    points = _points(1, 2, {1: 100, 2: 90}, speed=2) + _points(2, 1, {1: 150, 2: 140}, speed=1.9)
    assert cheapest(points).threads == 1


def test_of_equals_the_fastest_wins() -> None:
    points = _points(1, 2, {1: 100}, speed=1.5) + _points(2, 1, {1: 102}, speed=1.9)
    assert cheapest(points).threads == 2


def test_measures_growing_sizes_with_each_number_of_threads() -> None:
    opened: list[int] = []
    ran: list[int] = []

    def open_runner(threads: int) -> RunRows:
        opened.append(threads)
        return ran.append

    points = measure(open_runner, [1, 2], cpus=2, budget_seconds=60, rounds=2)
    assert opened == [1, 2]
    assert {(point.threads, point.executors) for point in points} == {(1, 2), (2, 1)}
    assert sorted({point.batch_rows for point in points}) == [2**power for power in range(9)]
    assert max(ran) == HIGHEST_BATCH_ROWS


def test_the_budget_ends_it_but_something_is_always_measured() -> None:
    points = measure(lambda threads: lambda rows: None, [1, 2], cpus=2, budget_seconds=-1)
    assert [(point.threads, point.batch_rows) for point in points] == [(1, 1)]


def test_a_row_that_takes_the_whole_budget_is_run_once() -> None:
    ran: list[int] = []
    (point,) = measure(lambda threads: ran.append, [1, 2], cpus=2, budget_seconds=-1)
    assert ran == [1]
    assert (point.threads, point.executors, point.batch_rows) == (1, 2, 1)
