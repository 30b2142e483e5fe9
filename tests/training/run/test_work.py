import io

import pytest

from training.run import work as work_module
from training.run.work import ReadingProgress, Stages


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_reading_draws_a_bar_on_a_terminal() -> None:
    stream = Terminal()
    with ReadingProgress(stream) as reading:
        for read in range(1, 4):
            reading(read, 3)
    assert "reading 3 pictures |" in stream.getvalue()


def test_reading_says_how_long_it_takes_elsewhere_if_that_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 4.0, 10.0, 20.0, 80.0])
    monkeypatch.setattr(work_module, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    with ReadingProgress(stream) as reading:
        for read in (2, 100, 200, 1000, 50_000):
            reading(read, 50_000)
    assert (
        stream.getvalue() == "reading 50,000 pictures: about 83 min left\nreading 50,000 pictures: about 65 min left\n"
    )


def test_each_stage_has_a_line_and_says_how_long_it_takes_if_that_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0, 12.0, 22.0, 30.0])
    monkeypatch.setattr(work_module, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    stages = Stages(stream)
    stages("PCA", 0)
    for share in (0.0, 0.01, 0.5, 1.0):
        stages("-log p(x) of 200 rows with 100 samples", share)
    assert stream.getvalue().splitlines() == [
        "evaluating: PCA",
        "evaluating: -log p(x) of 200 rows with 100 samples",
        "evaluating: -log p(x) of 200 rows with 100 samples: about 12 s left",
    ]


def test_stages_have_bars_on_a_terminal() -> None:
    stream = Terminal()
    stages = Stages(stream)
    for stage, share in (("PCA", 0.0), ("completeness", 0.0), ("completeness", 0.5), ("completeness", 1.0)):
        stages(stage, share)
    assert "evaluating: PCA |" in stream.getvalue()
    assert "evaluating: completeness |" in stream.getvalue()
    assert "evaluating: PCA\n" not in stream.getvalue()
