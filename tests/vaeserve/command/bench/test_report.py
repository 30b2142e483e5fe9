import json

import pytest

from vaeserve.client.blocking import Client
from vaeserve.command.bench.figures import Figures, Spread
from vaeserve.command.bench.plan import BenchPlan, ClosedLoop, LoadPoint, OpenLoop
from vaeserve.command.bench.report import PointResult, heading, line, notes, to_json

OPEN = LoadPoint(1, OpenLoop(2500.0, "poisson", 1000, 0))
CLOSED = LoadPoint(64, ClosedLoop(16))


def spread(value: float) -> Spread:
    return Spread(mean=value, p50=value, p90=value * 2, p99=value * 3, p99_9=value * 4, max=value * 5)


def figures(**changes: object) -> Figures:
    found = Figures(
        seconds=5.0,
        calls=100,
        answered=100,
        errors={},
        unsent=0,
        was_bounded=False,
        calls_per_second=1234.5,
        rows_per_second=79008.0,
        good_per_second=1200.4,
        latency_milliseconds=spread(4.0),
        late_milliseconds=spread(0.1),
        queued_milliseconds=spread(0.25),
        running_milliseconds=spread(1.5),
        batch_rows=spread(48.0),
        generator_share=0.5,
    )
    return found.model_copy(update=changes)


def plan(point: LoadPoint) -> BenchPlan:
    return BenchPlan("sample", (point,), 1.0, 5.0, 0.05, 1)


def said(point: LoadPoint, **changes: object) -> list[str]:
    return list(notes([PointResult(point, figures(**changes))], was_interrupted=False))


def test_a_line() -> None:
    cells = line(PointResult(CLOSED, figures())).split()
    assert cells[:5] == ["64", "16", "1,234", "79,008", "1,200"]
    assert cells[5:] == ["4.00", "8.00", "12.0", "16.0", "20.0", "0", "0.25", "1.50", "48.0"]


def test_a_line_of_nothing() -> None:
    nothing = dict.fromkeys(("latency_milliseconds", "queued_milliseconds", "running_milliseconds", "batch_rows"))
    cells = line(PointResult(OPEN, figures(answered=0, **nothing))).split()
    assert cells[1] == "2,500"
    assert cells[5:] == [*"-----", "100", *"---"]


@pytest.mark.parametrize("point", [OPEN, CLOSED])
@pytest.mark.parametrize("most", [1.0, 12345.0])
def test_the_table_is_aligned_and_narrow(client: Client, point: LoadPoint, most: float) -> None:
    large = {"latency_milliseconds": spread(most), "calls_per_second": 123456.0, "rows_per_second": 12345678.0}
    *_, groups, titles = heading(plan(point), client.get_model(), "127.0.0.1:50051").splitlines()
    row = line(PointResult(point, figures(**large)))
    assert len(groups) == len(titles) == len(row) <= 120
    assert ("callers" in titles) == (point is CLOSED)


def test_notes_tell_what_the_table_cannot() -> None:
    assert said(CLOSED) == ["each worker process took 50 % of a core"]
    failed, _ = said(CLOSED, errors={"UNAVAILABLE": 1200, "INTERNAL": 1})
    assert failed == "rows 64, callers 16: failed with UNAVAILABLE 1,200, INTERNAL 1"
    bounded, unsent, _ = said(OPEN, was_bounded=True, unsent=7)
    assert (
        bounded
        == "rows 1, 2500 calls/s: the server could not keep up: 1,000 calls were in flight, so the next had to wait"
    )
    assert unsent == "rows 1, 2500 calls/s: 7 calls were not sent, because they were too late"


@pytest.mark.parametrize(
    ("changes", "is_told"),
    [
        ({"generator_share": 0.95}, True),
        ({"late_milliseconds": spread(20.0)}, True),
        ({"unsent": 3}, True),
        ({"unsent": 3, "late_milliseconds": spread(20.0), "was_bounded": True}, False),
        ({"late_milliseconds": None}, False),
    ],
)
def test_the_generator_says_when_it_was_the_limit(changes: dict[str, object], is_told: bool) -> None:
    assert any("the load generator was the limit" in note for note in said(OPEN, **changes)) == is_told


def test_an_interrupt_is_told() -> None:
    results = [PointResult(CLOSED, figures(generator_share=0.1)), PointResult(CLOSED, figures(seconds=1.25))]
    assert list(notes(results, was_interrupted=True)) == [
        "each worker process took 10 to 50 % of a core",
        "interrupted: the last line covers 1.2 s",
    ]


def test_json_holds_all(client: Client) -> None:
    settings: dict[str, object] = {"target": "127.0.0.1:50051"}
    results = [PointResult(OPEN, figures(errors={"INTERNAL": 2}))]
    said = json.loads(to_json(plan(OPEN), client.get_model(), settings, results, was_interrupted=True))
    assert said["settings"]["target"] == "127.0.0.1:50051"
    assert said["settings"]["deadline_seconds"] == 0.05
    assert said["model"] == {"name": "digits", "version": 1, "fingerprint": "a" * 64, "provider": "cpu"}
    assert said["interrupted"] is True
    assert {"python", "grpcio", "numpy"} <= said["versions"].keys()
    (point,) = said["points"]
    assert (point["rows"], point["rate"], point["arrivals"], point["errors"]) == (1, 2500, "poisson", {"INTERNAL": 2})
    assert point["latency_milliseconds"]["p99_9"] == 16.0
