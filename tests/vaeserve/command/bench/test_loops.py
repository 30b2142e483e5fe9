import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import grpc
import pytest

from vaeserve.client.blocking import Client
from vaeserve.client.call import Route
from vaeserve.command.bench.figures import Figures, figures
from vaeserve.command.bench.inputs import BenchInputs
from vaeserve.command.bench.loops import LoadShare, ShareOutcome, measure, runner
from vaeserve.command.bench.plan import RPCS, ClosedLoop, OpenLoop, RpcName

if TYPE_CHECKING:
    from tests.vaeserve.conftest import Server


@pytest.fixture
def stop() -> Iterator[tuple[int, int]]:
    """A pipe: what reads it, what writes it."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


class Loads:
    """Puts load on the scripted server from this process."""

    def __init__(self, server: "Server", client: Client, stop: int) -> None:
        self.script = server.script
        self.refuse = server.refuse
        self._client = client
        self._stop = stop

    def run(
        self,
        load: ClosedLoop | OpenLoop,
        *,
        rpc: RpcName = "sample",
        rows: int = 1,
        duration: float = 0.3,
        deadline: float = 30.0,
        late: float = 0.0,
    ) -> Figures:
        begin, outcome = self.outcome(load, rpc=rpc, rows=rows, duration=duration, deadline=deadline, late=late)
        found = figures([outcome], begin, rows, deadline)
        assert found is not None
        return found

    def outcome(
        self, load: ClosedLoop | OpenLoop, *, rpc: RpcName, rows: int, duration: float, deadline: float, late: float
    ) -> tuple[float, ShareOutcome]:
        requests = BenchInputs(rpc, Route("", 0), self._client.get_model(), 0, None).serialise(rows)
        start = time.monotonic() - late
        share = LoadShare(rpc, requests, load, 0.0, duration, deadline)
        with runner() as loop:
            return start, loop.run(measure(self._client.connection, share, start, self._stop))


@pytest.fixture
def loads(server: "Server", client: Client, stop: tuple[int, int]) -> Loads:
    return Loads(server, client, stop[0])


def constant(rate: float, outstanding: int = 100) -> OpenLoop:
    return OpenLoop(rate, "constant", outstanding, 0)


@pytest.mark.parametrize("rpc", RPCS)
def test_every_rpc(loads: Loads, rpc: RpcName) -> None:
    found = loads.run(constant(50), rpc=rpc, rows=5)
    assert 14 <= found.calls + found.unsent <= 16
    assert found.calls == found.answered == len(loads.script.requests(rpc.capitalize())) > 0
    assert found.errors == {}


def test_requests_are_sent_in_turn(loads: Loads) -> None:
    loads.run(ClosedLoop(1), rows=2)
    first_rows = [request.first_row for request in loads.script.requests("Sample")]  # type: ignore[attr-defined]
    assert first_rows == [2 * (number % 16) for number in range(len(first_rows))]


def test_a_closed_loop_waits_for_answers(loads: Loads) -> None:
    loads.script.before = [lambda _: time.sleep(0.2)] * 100
    found = loads.run(ClosedLoop(3), duration=0.3)
    assert 3 <= found.calls <= 6, "three callers, each one call or two"
    assert found.late_milliseconds is not None
    assert found.generator_share > 0


def test_what_the_server_says(loads: Loads) -> None:
    found = loads.run(ClosedLoop(1), rpc="encode", rows=4)
    assert found.queued_milliseconds is not None
    assert found.running_milliseconds is not None
    assert found.batch_rows is not None
    said = (found.queued_milliseconds.mean, found.running_milliseconds.mean, found.batch_rows.mean)
    assert said == pytest.approx((0.01, 1.0, 4.0))


def test_a_stall_shows_in_an_open_loop(loads: Loads) -> None:
    """Calls that could not even be sent while the server stalled waited all the same."""
    loads.script.before = [lambda _: time.sleep(0.4)]
    found = loads.run(constant(100, outstanding=1), duration=0.8)
    assert found.was_bounded
    assert found.latency_milliseconds is not None
    assert found.latency_milliseconds.max >= 390
    assert found.latency_milliseconds.p90 >= 200
    assert found.late_milliseconds is not None
    assert found.late_milliseconds.p90 >= 200


def test_calls_that_never_left_are_told(loads: Loads) -> None:
    loads.script.before = [lambda _: time.sleep(0.5)]
    found = loads.run(constant(100, outstanding=1), duration=0.3)
    assert (found.calls, found.was_bounded) == (1, True)
    assert found.unsent >= 25


def test_calls_that_would_leave_after_their_deadline_never_do(loads: Loads) -> None:
    """A generator that is half a second behind, for want of a processor, catches up at once."""
    found = loads.run(constant(50), duration=1.0, deadline=0.25, late=0.5)
    assert found.unsent >= 12
    assert found.calls + found.unsent in (50, 51)
    assert found.late_milliseconds is not None
    assert found.late_milliseconds.p50 < 250


def test_refusals_are_counted_and_not_tried_again(loads: Loads) -> None:
    codes = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
    loads.script.before = [loads.refuse(code, "busy") for code in codes]
    found = loads.run(constant(40))
    assert found.errors == {"UNAVAILABLE": 1, "RESOURCE_EXHAUSTED": 1}
    assert found.calls == found.answered + 2 == len(loads.script.requests("Sample"))


def test_a_caller_who_is_refused_pauses(loads: Loads) -> None:
    loads.script.before = [loads.refuse(grpc.StatusCode.UNAVAILABLE, "busy")] * 1000
    found = loads.run(ClosedLoop(2), duration=0.35)
    assert (found.answered, found.latency_milliseconds, found.calls_per_second) == (0, None, 0)
    assert 2 <= found.calls <= 8


def test_a_deadline_counts_from_when_a_call_was_to_be_sent(loads: Loads) -> None:
    loads.script.before = [lambda _: time.sleep(0.3)] * 4
    found = loads.run(constant(50, outstanding=1), duration=0.25, deadline=0.1)
    assert found.errors["DEADLINE_EXCEEDED"] >= 2
    assert found.good_per_second <= found.calls_per_second


def test_stop_ends_the_load_at_once(loads: Loads, stop: tuple[int, int]) -> None:
    os.write(stop[1], b"stop")
    before = time.monotonic()
    begin, outcome = loads.outcome(ClosedLoop(1), rpc="sample", rows=1, duration=60.0, deadline=60.0, late=0.0)
    assert outcome.log == b""
    assert begin <= outcome.ended <= time.monotonic()
    assert time.monotonic() - before < 30
