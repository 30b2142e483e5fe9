"""Threads work a bounded number of steps ahead, and results come in order."""

import threading
from collections.abc import Iterator

import pytest

from jobs.sources.window import Window


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_order_and_items_are_taken_as_they_do(threads: int) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    window = Window(threads)
    results = window.map(lambda number: number * number, items())
    for number, result in enumerate(results):
        assert result == number * number
        assert len(taken) <= number + 16 * (2 * threads + 1)
    assert len(taken) == 1000
    window.close()


def test_an_error_comes_in_its_place_and_nothing_more_is_begun() -> None:
    release, begun = threading.Event(), list[int]()

    def work(number: int) -> int:
        begun.append(number)
        if number == 16:
            raise ValueError("sixteen")
        if number > 16:
            release.wait(10)
        return number

    window = Window(1)
    results = window.map(work, range(1000))
    assert [next(results) for _ in range(16)] == [*range(16)]
    with pytest.raises(ValueError, match="sixteen"):
        next(results)
    release.set()
    window.close()
    assert max(begun) < 16 * 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("source")]


def test_nothing_is_nothing() -> None:
    window = Window(2)
    assert [*window.map(str, [])] == []
    window.close()
