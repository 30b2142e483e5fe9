import multiprocessing
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from training.run.lock import alone_in
from vaeserve.errors import TrainingError


def hold(directory: Path, held: Connection) -> None:
    with alone_in(directory):
        held.send(True)
        signal.pause()


def test_a_directory_is_one_process_s_until_that_dies(tmp_path: Path) -> None:
    here, there = multiprocessing.Pipe()
    other = multiprocessing.get_context("fork").Process(target=hold, args=(tmp_path, there))
    other.start()
    assert here.recv()
    with pytest.raises(TrainingError, match=f"^{tmp_path}: another process is training there$"), alone_in(tmp_path):
        pass
    other.kill()
    other.join()
    with alone_in(tmp_path):
        assert not list(tmp_path.iterdir())
