from array import array
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaeserve.command.bench.figures import Figures, figures, spread
from vaeserve.command.bench.loops import ShareOutcome

BEGIN, END = 10.0, 14.0


class Sent(NamedTuple):
    intended: float
    sent: float
    finished: float
    code: int = 0
    queued: float = 0.0
    running: float = 0.0
    batch_rows: int = 1


def outcome(calls: Sequence[Sent], ended: float = END, share: float = 0.5, unsent: int = 0) -> ShareOutcome:
    log = array("d")
    for call in calls:
        log.extend(call)
    return ShareOutcome(log.tobytes(), ended, share, unsent, was_bounded=False)


def of(*calls: Sent, rows: int = 1, deadline: float = 60.0) -> Figures:
    found = figures([outcome(calls)], BEGIN, rows, deadline)
    assert found is not None
    return found


def interpolated(values: list[float], share: float) -> float:
    """The definition that most tools share: linear between the two nearest ranks."""
    ranked = sorted(values)
    place = share * (len(ranked) - 1)
    low = int(place)
    high = min(low + 1, len(ranked) - 1)
    return ranked[low] + (place - low) * (ranked[high] - ranked[low])


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
def test_spread_interpolates_between_ranks(values: list[float]) -> None:
    found = spread(np.array(values))
    assert found is not None
    assert found.max == max(values)
    assert found.mean == pytest.approx(sum(values) / len(values))
    for share, said in ((0.5, found.p50), (0.9, found.p90), (0.99, found.p99), (0.999, found.p99_9)):
        assert said == pytest.approx(interpolated(values, share), rel=1e-9, abs=1e-9)


def test_nothing_has_no_spread() -> None:
    assert spread(np.array([])) is None


times = st.floats(BEGIN - 2, END + 2)
calls_lists = st.lists(
    st.builds(
        lambda intended, late, took, code: Sent(intended, intended + late, intended + late + took, code),
        times,
        st.floats(0, 1),
        st.floats(0, 3),
        st.sampled_from([0, 0, 0, 4, 8, 14]),
    ),
    max_size=40,
)


@given(calls_lists, st.floats(0.001, 3), st.integers(1, 512))
def test_rates_count_what_came_and_latencies_what_was_to_be_sent(calls: list[Sent], deadline: float, rows: int) -> None:
    found = of(*calls, rows=rows, deadline=deadline)
    came = [call for call in calls if BEGIN <= call.finished < END and call.code == 0]
    measured = [call for call in calls if BEGIN <= call.intended < END]
    assert found.calls_per_second == pytest.approx(len(came) / 4)
    assert found.rows_per_second == pytest.approx(len(came) * rows / 4)
    assert found.good_per_second == sum(call.finished - call.intended <= deadline for call in came) / 4
    assert found.good_per_second <= found.calls_per_second
    assert found.calls == len(measured)
    assert found.calls == found.answered + sum(found.errors.values())
    assert Counter(found.errors.values()) == Counter(Counter(call.code for call in measured if call.code).values())
    latencies = [call.finished - call.intended for call in measured if not call.code]
    assert found.answered == len(latencies)
    if latencies:
        assert found.latency_milliseconds is not None
        assert found.latency_milliseconds.max == pytest.approx(max(latencies) * 1e3)
    else:
        assert found.latency_milliseconds is None


def test_a_stall_shows_although_no_call_was_sent_during_it() -> None:
    """One call of 1 s holds up the hundred behind it, which take 1 ms each once they are sent."""
    stalled = [Sent(11 + k / 100, max(11 + k / 100, 12.0), max(11 + k / 100, 12.0) + 0.001) for k in range(1, 100)]
    others = [Sent(12 + k / 100, 12 + k / 100, 12.001 + k / 100) for k in range(100)]
    found = of(Sent(11.0, 11.0, 12.0), *stalled, *others)
    assert found.latency_milliseconds is not None
    assert found.latency_milliseconds.p90 > 700
    assert found.latency_milliseconds.p50 == pytest.approx(1 + 5, abs=15)
    assert found.late_milliseconds is not None
    assert found.late_milliseconds.p90 > 700


def test_errors_are_named() -> None:
    at = (11.0, 11.0, 12.0)
    found = of(Sent(*at, 8), Sent(*at, 8), Sent(*at, 14), Sent(*at))
    assert found.errors == {"RESOURCE_EXHAUSTED": 2, "UNAVAILABLE": 1}
    assert (found.calls, found.answered) == (4, 1)


def test_what_the_server_said_is_that_of_answers() -> None:
    found = of(Sent(11, 11, 12, 0, 3000, 500, 64), Sent(11, 11, 12, 0, 1000, 700, 32), Sent(11, 11, 12, 4))
    assert found.queued_milliseconds is not None
    assert found.running_milliseconds is not None
    assert found.batch_rows is not None
    assert (found.queued_milliseconds.mean, found.queued_milliseconds.max) == (2.0, 3.0)
    assert found.running_milliseconds.mean == pytest.approx(0.6)
    assert found.batch_rows.mean == 48


def test_processes_add_up() -> None:
    shares = [outcome([Sent(11, 11, 12)] * 3, 14.0, 0.2, 5), outcome([Sent(11, 11, 11.5)], 12.0, 0.9, 2)]
    found = figures(shares, BEGIN, 1, 60.0)
    assert found is not None
    assert found.seconds == 2.0, "as long as every process sent calls"
    assert (found.calls, found.unsent, found.generator_share) == (4, 7, 0.9)


def test_a_point_that_ended_in_its_warmup_has_no_figures() -> None:
    assert figures([outcome([Sent(9, 9, 9.5)], ended=9.9)], BEGIN, 1, 60.0) is None
