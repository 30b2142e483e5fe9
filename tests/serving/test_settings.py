"""Settings from flags and variables."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from serving.settings import GROUPS, Settings, misspelt, read_settings, settings_of
from vaeserve.command.cli import run
from vaeserve.errors import InvalidInput, StartupError


def test_a_flag_wins_over_a_variable_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_PORT", "7000")
    monkeypatch.setenv("VAE_BATCH_ROWS", "8")
    read = read_settings({"package": "models/digits", "port": "7001"})
    assert (read.package, read.port, read.batch_rows, read.host) == (Path("models/digits"), 7001, 8, "127.0.0.1")


def test_a_variable_may_have_small_letters_and_one_that_is_no_setting_is_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("vae_batch_rows", "8")
    monkeypatch.setenv("VAE_NO_SUCH_SETTING", "1")
    assert read_settings({"package": "x"}).batch_rows == 8


def test_arguments_are_read_without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_BATCH_ROWS", "8")
    assert settings_of(package=Path("x"), threads=2).batch_rows == 0
    with pytest.raises(InvalidInput, match="threads"):
        settings_of(package=Path("x"), threads=-1)


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
        ({"package": "x", "tls_certificate": "c"}, "tls_certificate and tls_key must be given together"),
        ({"package": "x", "tls_key": "k"}, "tls_certificate and tls_key must be given together"),
        ({"package": "x", "tls_client_authorities": "a"}, "tls_client_authorities needs tls_certificate"),
        ({"package": "x", "host": "0.0.0.0", "token_file": "t"}, "token_file: tokens would travel unencrypted"),
        ({"package": "x", "connection_age_seconds": "-1"}, r"connection_age_seconds \(VAE_CONNECTION_AGE_SECONDS\)"),
        ({"package": "x", "log_format": "xml"}, r"log_format \(VAE_LOG_FORMAT\)"),
    ],
)
def test_names_the_setting_that_is_wrong(flags: dict[str, str], named: str) -> None:
    with pytest.raises(StartupError, match=named):
        read_settings(flags)


@pytest.mark.parametrize(
    "flags",
    [
        {"host": "localhost"},
        {"host": "::1"},
        {"host": "0.0.0.0", "tls_ends_elsewhere": "true"},
        {"host": "0.0.0.0", "tls_certificate": "c", "tls_key": "k"},
    ],
)
def test_tokens_are_taken_where_nobody_can_overhear_them(flags: dict[str, str]) -> None:
    assert read_settings({"package": "x", "token_file": "t", **flags}).token_file == Path("t")


def test_help_shows_every_setting_in_a_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--help"]) == 0
    said = capsys.readouterr().out
    assert set(GROUPS) <= set(Settings.model_fields)
    assert all(f"--{name.replace('_', '-')}" in said for name in Settings.model_fields if name != "package")
    assert "batches and queues:" in said
    assert "(default: 0)" in said


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("VAE_BACTH_ROWS", "; did you mean VAE_BATCH_ROWS?"),
        ("vae_queue_row", "; did you mean VAE_QUEUE_ROWS?"),
        ("VAE_TAGRET", "; did you mean VAE_TARGET?"),
        ("VAE_METRIC_PORT", "; did you mean VAE_METRICS_PORT?"),
        ("VAE_XYZ", ""),
    ],
)
def test_a_variable_that_is_no_setting_is_told_with_the_nearest(variable: str, said: str) -> None:
    assert list(misspelt({"PATH": "", variable: "1", "VAE_PORT": "1"})) == [
        f"{variable} is not a setting, and is ignored{said}"
    ]


def test_variables_that_others_set_are_no_misspellings() -> None:
    settings = [f"VAE_{name.upper()}" for name in Settings.model_fields]
    kubernetes = {
        "VAE_SERVICE_HOST": "10.0.0.1",
        "VAE_SERVICE_PORT_GRPC": "50051",
        "VAE_SERVE_PORT": "tcp://10.0.0.1:50051",
        "VAE_SERVE_PORT_50051_TCP_ADDR": "10.0.0.1",
    }
    others = ["VAE_TARGET", "vae_port", "VAEX", "HOME"]
    assert list(misspelt({**dict.fromkeys([*settings, *others], "1"), **kubernetes})) == []
