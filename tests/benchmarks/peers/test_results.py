import pytest

from benchmarks.harness import Load
from benchmarks.peers.cases import BULK, BUSY, LONE
from benchmarks.peers.results import judge, show
from benchmarks.peers.unary import SHARED, UNARY


def load(microseconds: float, p50: float = 1.0) -> Load:
    return Load(microseconds, 1000.0, p50, 2.0, 0.01)


def test_a_line_has_the_time_of_a_row_and_the_ratios_of_ours_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    show("title", {"vae serve": load(640, 3.0), "Triton": load(512, 1.5)}, 64)
    title, header, ours, triton, _ = capsys.readouterr().out.split("\n", 4)
    assert title == "title"
    assert header.split()[:3] == ["side", "server", "us/row"]
    assert ours.split() == ["vae", "serve", "10", "1", "1,000", "3", "1", "1.0%"]
    assert triton.split() == ["Triton", "8", "1.25", "1,000", "1.5", "2", "1.0%"]


def test_only_ratios_of_which_both_sides_were_measured_are_judged(capsys: pytest.CaptureFixture[str]) -> None:
    judge(
        {
            LONE: {"vae serve": load(300, 1.4), "Triton": load(100, 1.0)},
            BULK: {"vae serve": load(104), "Triton": load(100)},
            BUSY: {"vae serve": load(1), SHARED: load(60), UNARY: load(100)},
        }
    )
    bulk, shared, lone = capsys.readouterr().out.splitlines()
    assert bulk.startswith(f"   server us a row, {BULK}, vae serve over Triton: 1.04 (must stay within 1.05")
    assert shared.startswith(f"   server us a row, {BUSY}, {SHARED} over {UNARY}: 0.6 (must stay within 0.7")
    assert lone.startswith(f"!! p50, {LONE}, vae serve over Triton: 1.4 (must stay within 1.35")
