"""Settings from flags and variables."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from serving.settings import Settings, read_settings
from vae.errors import StartupError


def test_a_flag_wins_over_a_variable_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_PORT", "7000")
    monkeypatch.setenv("VAE_BATCH_ROWS", "8")
    read = read_settings({"package": "models/digits", "port": "7001"})
    assert (read.package, read.port, read.batch_rows, read.host) == (Path("models/digits"), 7001, 8, "127.0.0.1")


def test_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read_settings({"package": "x"}).port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({}, r"package \(VAE_PACKAGE\)"),
        ({"package": "x", "port": "70000"}, r"port \(VAE_PORT\)"),
        ({"package": "x", "batch_rows": "-1"}, r"batch_rows \(VAE_BATCH_ROWS\)"),
        ({"package": "x", "provider": "tpu"}, r"provider \(VAE_PROVIDER\)"),
        ({"package": "x", "wait_milliseconds": "nan"}, r"wait_milliseconds"),
        ({"package": "x", "queue_rows": "5"}, r"queue_rows \(5\) must hold a whole call"),
    ],
)
def test_names_the_setting_that_is_wrong(flags: dict[str, str], named: str) -> None:
    with pytest.raises(StartupError, match=named):
        read_settings(flags)


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())
