from collections.abc import Iterator

import pytest

from tests.support.exporter import read_operators_once
from tests.support.servers import RunningServer
from vaeserve import Client


@pytest.fixture(scope="session", autouse=True)
def exporter() -> None:
    read_operators_once()


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    """A client of the module's server."""
    with Client(server.target) as client:
        yield client
