from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaeserve.command.bench.plan import ARRIVALS, Arrivals, ClosedLoop, OpenLoop


@given(st.integers(1, 100), st.integers(1, 9))
def test_processes_share_the_callers(callers: int, processes: int) -> None:
    shares = [ClosedLoop(callers).share(number, processes).callers for number in range(processes)]
    assert sum(shares) == callers
    assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize("arrivals", ARRIVALS)
@given(processes=st.integers(1, 5), seed=st.integers(0, 2**64 - 1))
def test_processes_share_one_schedule(arrivals: Arrivals, processes: int, seed: int) -> None:
    load = OpenLoop(50, arrivals, 10, seed)
    shares = [list(load.share(number, processes).times(3.0, 5.0)) for number in range(processes)]
    whole = list(load.times(3.0, 5.0))
    assert sorted(chain(*shares)) == whole
    assert all(3.0 <= time < 5.0 for time in whole)


def test_constant_arrivals_are_evenly_spaced() -> None:
    times = list(OpenLoop(100, "constant", 10, 0).times(0.0, 1.0))
    assert [later - earlier for earlier, later in pairwise(times)] == pytest.approx([0.01] * (len(times) - 1))


def test_poisson_arrivals_have_the_rate_and_the_spread_of_an_exponential() -> None:
    times = list(OpenLoop(1000, "poisson", 10, 7).times(0.0, 20.0))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(1e-3, rel=0.03)
    assert deviation == pytest.approx(mean, rel=0.05)


def test_every_process_may_have_a_call_in_flight() -> None:
    assert OpenLoop(1, "poisson", 2, 0).share(3, 4).outstanding == 1
