import io

from training.loop import Epoch
from training.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def show(stream: io.StringIO, epochs: int, done: int = 0) -> str:
    with Progress(epochs, done, 8, stream) as progress:
        for epoch in range(done + 1, epochs + 1):
            progress.show(Epoch(epoch, 100.25, 84.0, 16.25, 7, 1.0, 1e-3))
    return stream.getvalue()


def test_about_ten_plain_lines_where_there_is_no_terminal() -> None:
    lines = show(io.StringIO(), 305).splitlines()
    assert len(lines) == 10
    assert lines[0] == "epoch  31/305  ELBO -100.2  reconstruction 84.0  KL 16.2 nats  active 7/8"
    assert lines[-1].startswith("epoch 305/305")


def test_a_short_run_shows_every_epoch() -> None:
    assert len(show(io.StringIO(), 3).splitlines()) == 3


def test_a_resumed_run_shows_what_is_left() -> None:
    assert len(show(io.StringIO(), 100, done=50).splitlines()) == 5


def test_a_bar_on_a_terminal() -> None:
    shown = show(Terminal(), 20)
    assert "20/20 |" in shown
    assert "ELBO -100.2  reconstruction 84.0  KL 16.2  active 7/8" in shown
    assert "epoch 20/20" not in shown
