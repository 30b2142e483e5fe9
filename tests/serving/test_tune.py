"""The verb `vae tune`, and what `vae serve` makes of it."""

from pathlib import Path

from tests.support.servers import RunVae, StartServer
from vaeserve import Client


def test_what_is_measured_is_kept_and_served(
    vae: RunVae, tiny: Path, tmp_path: Path, start_server: StartServer
) -> None:
    done = vae("tune", tiny, "--seconds", "0.2", "--tuning-cache", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("<- best") == 1
    (file,) = tmp_path.iterdir()
    assert str(file) in done.stdout
    server = start_server(VAE_THREADS="0", VAE_BATCH_ROWS="0", VAE_TUNING_CACHE=str(tmp_path))
    with Client(server.target) as client:
        execution = client.get_model().execution
    assert execution is not None
    assert execution.source == "cached"


def test_a_package_that_is_none(vae: RunVae, tmp_path: Path) -> None:
    done = vae("tune", tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_a_cache_that_cannot_be_written_is_refused_before_anything_is_measured(
    vae: RunVae, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = vae("tune", tiny, "--seconds", "0", "--tuning-cache", tmp_path / "file")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "file" in done.stderr


def test_the_settings_of_the_server_count(vae: RunVae, tiny: Path, tmp_path: Path) -> None:
    done = vae("tune", tiny, "--seconds", "0", VAE_TUNING_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "cache").iterdir())) == 1
