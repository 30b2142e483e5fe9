"""A real server for verbs, beside the scripted one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import RunningServer, start


@pytest.fixture(scope="module")
def server_of_tiny(tiny: Path) -> Iterator[RunningServer]:
    """A real server, beside the scripted one."""
    running = start(tiny)
    yield running
    running.stop()
