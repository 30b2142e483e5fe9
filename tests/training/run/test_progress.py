import io
import os
import re
import sys
import termios

import pytest

from training.run.progress import EpochProgress, Length, about, fitting, say
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


def test_the_steps_that_were_asked_for_are_counted() -> None:
    """The run ends with the epoch that reaches them, here at step 36."""
    stream, length = io.StringIO(), Length(3, 35, 12)
    with EpochProgress(length, 1, 8, 1437, stream) as progress:
        progress.show(figures(2))
        progress.show(figures(3))
    assert [line.split("  ")[0] for line in stream.getvalue().splitlines()] == ["step 24/35", "step 35/35"]
    terminal = Terminal()
    with EpochProgress(length, 1, 8, 1437, terminal) as progress:
        progress.show(figures(2))
        progress.show(figures(3))
    assert "12/35 |" in terminal.getvalue()
    assert "35/35 |" in terminal.getvalue()


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
    assert stream.getvalue().startswith("epoch 1/1  2 steps skipped  reconstruction 84.0")


def test_a_line_has_the_figures_that_fit_into_it_the_most_useful_first() -> None:
    stream = io.StringIO()
    own = dict.fromkeys(("discriminator_is_right", "decoder_nats", "discriminator_nats", "features_nats"), 1234.5)
    with EpochProgress(Length(5000, 50_000, 10), 0, 64, 45_000, stream) as progress:
        progress.show(Epoch(1, 10, 99.0, 1000.25, 840.0, 160.25, 32, 999.5, 1.0, 1e-3, 0, own))
    (line,) = stream.getvalue().splitlines()
    assert len(line) < 120
    assert line.startswith("step    10/50000  ELBO -1000.2  reconstruction 840.0  KL 160.2  validation loss 999.50")
    assert line.endswith(" left")


def test_terms_that_are_too_long_make_room_for_those_that_follow() -> None:
    assert fitting(["one", "a very long one", "two"], 8) == "one  two"
    assert fitting(["a very long one"], 8) == ""
