"""A real server of the tiny package; `server` is the scripted one of tests/vae."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import RunningServer, start


@pytest.fixture(scope="package")
def real_server(tiny: Path) -> Iterator[RunningServer]:
    running = start(tiny)
    yield running
    running.stop()
