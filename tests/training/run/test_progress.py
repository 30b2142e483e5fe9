import io
import os
import re
import sys
import termios

import pytest

from training.run import progress as progress_module
from training.run.progress import EpochProgress, Length, ReadingProgress, about, say
from training.step.epoch import Epoch


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def figures(epoch: int) -> Epoch:
    return Epoch(epoch, 6 * epoch, 99.0, 100.25, 84.0, 16.25, 7, None, 1.0, 1e-3, 0)


def show(stream: io.StringIO, epochs: int, done: int = 0) -> str:
    with EpochProgress(Length(epochs), done, 8, 1437, stream) as progress:
        for epoch in range(done + 1, epochs + 1):
            progress.show(figures(epoch))
    return stream.getvalue()


def test_about_ten_plain_lines_where_there_is_no_terminal() -> None:
    lines = show(io.StringIO(), 305).splitlines()
    assert len(lines) == 11
    terms = r"ELBO -100\.2  reconstruction 84\.0  KL 16\.2  active 7/8  [\d,]+ rows/s"
    assert lines[0].startswith("epoch   1/305")
    assert re.fullmatch(rf"epoch  31/305  {terms}  about \d+ s left", lines[1])
    assert re.fullmatch(rf"epoch 305/305  {terms}", lines[-1])


def test_steps_are_counted_where_steps_were_asked_for() -> None:
    stream = io.StringIO()
    with EpochProgress(Length(3, 12), 1, 8, 1437, stream) as progress:
        progress.show(figures(2))
        progress.show(figures(3))
    assert [line.split("  ")[0] for line in stream.getvalue().splitlines()] == ["step 24/36", "step 36/36"]
    terminal = Terminal()
    with EpochProgress(Length(3, 12), 1, 8, 1437, terminal) as progress:
        progress.show(figures(2))
    assert "24/36 |" in terminal.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "about 1 s"), (89, "about 89 s"), (90, "about 2 min"), (725, "about 12 min"), (12_700, "about 3.5 h")],
)
def test_a_time_is_said_as_people_say_it(seconds: float, text: str) -> None:
    assert about(seconds) == text


def test_a_short_run_shows_every_epoch() -> None:
    assert len(show(io.StringIO(), 3).splitlines()) == 3


def test_a_resumed_run_shows_what_is_left() -> None:
    assert len(show(io.StringIO(), 100, done=50).splitlines()) == 6


def test_a_bar_on_a_terminal() -> None:
    shown = show(Terminal(), 20)
    assert "20/20 |" in shown
    assert "ELBO -100.2  reconstruction 84.0  KL 16.2  active 7/8" in shown
    assert "epoch 20/20" not in shown


def test_a_bar_leaves_room_for_the_echo_of_ctrl_c() -> None:
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen, os.fdopen(theirs, "w") as terminal:
        termios.tcsetwinsize(theirs, (24, 90))
        with EpochProgress(Length(20), 0, 8, 1437, terminal) as progress:
            progress.show(figures(20))
        *_, bar = screen.read(4096).decode().strip().split("\r")
    assert len(bar) == 90 - 3


def test_no_bar_where_nothing_is_left_to_do() -> None:
    assert show(Terminal(), 20, done=20) == ""


def test_a_stream_that_is_full_or_missing_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    show(Full(), 3)
    monkeypatch.setattr(sys, "stderr", Full())
    say("exporting")
    monkeypatch.setattr(sys, "stderr", None)
    say("exporting")
    with EpochProgress(Length(3), 0, 8, 1437) as progress:
        progress.show(figures(1))


def test_only_what_there_is_is_shown() -> None:
    stream = io.StringIO()
    with EpochProgress(Length(1), 0, 8, 1437, stream) as progress:
        progress.show(Epoch(1, 6, 84.0, None, 84.0, None, 8, 90.5, 1.0, 1e-3, 2))
    assert "ELBO" not in stream.getvalue()
    assert "KL" not in stream.getvalue()
    assert "validation loss 90.50" in stream.getvalue()
    assert stream.getvalue().endswith("2 steps skipped\n")


def test_reading_draws_a_bar_on_a_terminal() -> None:
    stream = Terminal()
    with ReadingProgress(stream) as reading:
        for read in range(1, 4):
            reading(read, 3)
    assert "reading 3 pictures |" in stream.getvalue()


def test_reading_says_how_long_it_takes_elsewhere_if_that_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 4.0, 10.0, 20.0, 80.0])
    monkeypatch.setattr(progress_module, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    with ReadingProgress(stream) as reading:
        for read in (2, 100, 200, 1000, 50_000):
            reading(read, 50_000)
    assert (
        stream.getvalue() == "reading 50,000 pictures: about 83 min left\nreading 50,000 pictures: about 65 min left\n"
    )
