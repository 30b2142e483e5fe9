from math import log
from pathlib import Path

import pytest

from benchmarks.reproductions.rate_distortion import CodesRun, draw, table


def test_the_rate_is_told_in_bits_too_beside_the_most_that_codes_can_take(tmp_path: Path) -> None:
    runs = [CodesRun(8, 4, 2.5 * log(8), 100.0), CodesRun(8, 8, 5 * log(8), 80.0), CodesRun(5, 8, 11.0, 85.0)]
    assert runs[0].most == pytest.approx(4 * log(8))
    first = table(runs, []).splitlines()[1].split()
    assert first == ["8", "4", "12.0", "7.5", "5.20", "100.00", "105.20"]
    draw(runs, [], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
