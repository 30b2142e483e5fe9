import sys
from pathlib import Path

import pytest

from benchmarks.compare import Printed, compare, figures_of, main, rows

OUTPUT = """digits, 1-row calls, 64 in flight
side                server us/call  p50 ms  steal
vae serve, Decode            1,152    0.79   1.0%
session.run of 8              40.2       -   0.0%
   server us a call, minimal grpc.aio over vae serve, Decode: 0.8 (must reach 0.65, reach for 0.8)
!! p50: 1.25e+03 (must stay within 1.1)
serving it on 127.0.0.1:1,  provider cpu
"""


def test_tables_and_claims_are_read() -> None:
    assert list(figures_of(OUTPUT)) == [
        Printed("vae serve, Decode, server us/call", 1152),
        Printed("vae serve, Decode, p50 ms", 0.79),
        Printed("vae serve, Decode, steal", 0.01),
        Printed("session.run of 8, server us/call", 40.2),
        Printed("session.run of 8, steal", 0.0),
        Printed("server us a call, minimal grpc.aio over vae serve, Decode", 0.8),
        Printed("p50", 1250),
    ]


def test_a_side_that_is_printed_for_several_models_stays_apart() -> None:
    names = [name for name, _ in figures_of("side  us\nit  1\n\nside  us\nit  2\n")]
    assert names == ["it, us", "it, us #2"]


def test_changes_are_marked_and_what_one_side_lacks_has_no_ratio() -> None:
    lines = list(rows({"a": 100.0, "b": 10.0, "gone": 1.0, "idle": 0.0}, {"a": 102.0, "b": 11.0, "idle": 0.0}, 0.03))
    assert [(name, mark) for name, _, _, _, mark in lines] == [("a", ""), ("b", "!!"), ("gone", ""), ("idle", "")]
    assert lines[0][3] == pytest.approx(1.02)


@pytest.fixture
def checkouts(tmp_path: Path) -> tuple[Path, Path]:
    """Two checkouts whose script prints its side's number, and notes that it ran."""
    folders = tmp_path / "old", tmp_path / "new"
    for folder, value in zip(folders, (10, 12), strict=True):
        (folder / "benchmarks").mkdir(parents=True)
        (folder / "benchmarks" / "speed.py").write_text(
            f"import sys\nopen('../log', 'a').write('{folder.name} ' + ' '.join(sys.argv[1:]) + '\\n')\n"
            f"print('side  us/call')\nprint('it  {value}')\n"
        )
    return folders


def test_checkouts_take_turns(checkouts: tuple[Path, Path], tmp_path: Path) -> None:
    old, new = compare(*checkouts, "speed", 2, ["--seconds", "1"])
    assert (old, new) == ({"it, us/call": 10.0}, {"it, us/call": 12.0})
    log = (tmp_path / "log").read_text().splitlines()
    assert log == [f"{side} --seconds 1" for side in ("old", "new", "new", "old")]


def test_the_table_has_a_line_a_figure(
    checkouts: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["compare", *map(str, checkouts), "speed", "--rounds", "1", "--seconds", "1"])
    main()
    title, _, line = capsys.readouterr().out.splitlines()
    assert title == "== speed, medians of 1 rounds"
    assert line.split() == ["it,", "us/call", "10", "12", "1.2", "!!"]


def test_a_script_that_fails_ends_it(checkouts: tuple[Path, Path]) -> None:
    with pytest.raises(SystemExit, match="missing exited with 1"):
        compare(*checkouts, "missing", 1, [])
