"""Settings for tests that put a model to use without a server."""

from pathlib import Path

import pytest

from serving.settings import Settings, read_settings


@pytest.fixture
def settings(tiny: Path) -> Settings:
    return read_settings({"package": str(tiny), "provider": "cpu", "threads": "1", "batch_rows": "64"})
