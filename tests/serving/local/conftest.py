"""A service and a `Local` of one package, which share neither limits nor batches."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.packages import publish
from tests.support.servers import start
from vaeserve import Client, Local


class Pair(NamedTuple):
    """Two that must agree."""

    client: Client
    local: Local


@pytest.fixture(scope="session")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny package with a prior of two Gaussians, which is its default."""
    return publish(tmp_path_factory.mktemp("mixture") / "package", prior="gmm")


@pytest.fixture(scope="session")
def pair(mixture: Path) -> Iterator[Pair]:
    running = start(mixture, "--call-rows", "100")
    with Client(running.target) as client, Local(mixture, threads=1, batch_rows=7) as local:
        yield Pair(client, local)
    running.stop()
