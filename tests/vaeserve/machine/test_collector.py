"""The garbage collector rests while a block runs, whatever happens in it."""

import gc
import subprocess
import sys

import pytest

from tests.support.servers import ROOT
from vaeserve.machine.collector import collector_paused


def test_the_collector_rests_within_the_block_and_the_collector_goes_on_afterwards() -> None:
    with collector_paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_failure_in_the_block_does_not_leave_it_paused() -> None:
    with pytest.raises(ZeroDivisionError), collector_paused():
        raise ZeroDivisionError
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_client_is_imported_with_the_collector_paused() -> None:
    code = """
import gc, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "grpc":
            print(gc.isenabled())

sys.meta_path.insert(0, Watch())
from vaeserve import Client
print(gc.isenabled())
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines() == ["False", "True"]
