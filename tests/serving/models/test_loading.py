"""Loading a package, and everything that must stop it."""

import io
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from serving.models.execution import Execution
from serving.models.loading import load
from serving.settings import Settings
from tests.support.make_float_package import make
from tests.support.packages import publish
from vaeserve.errors import PackageError
from vaeserve.package.bounded import read_regular
from vaeserve.package.directory import sha256_of

Edit = Callable[[dict[str, np.ndarray]], None]


def _with_probes(source: Path, target: Path, edit: Edit) -> Path:
    """Copies the package with other probes and the right checksum: what a careless trainer might publish."""
    shutil.copytree(source, target)
    with np.load(source / "probes.npz") as archive:
        probes = dict(archive)
    edit(probes)
    buffer = io.BytesIO()
    np.savez(buffer, **probes)
    (target / "probes.npz").write_bytes(buffer.getvalue())
    manifest = json.loads((target / "manifest.json").read_text())
    manifest["probes"]["sha256"] = sha256_of(buffer.getvalue())
    (target / "manifest.json").write_text(json.dumps(manifest))
    return target


def test_loads_a_sound_package(tiny: Path, settings: Settings) -> None:
    proved = load(tiny, settings)
    assert proved.provider == "cpu"
    assert proved.manifest.name == "tiny"


def _shift(name: str, by: float) -> Edit:
    def edit(probes: dict[str, np.ndarray]) -> None:
        probes[name][3] += np.asarray(by).astype(probes[name].dtype)

    return edit


def _cut(name: str, rows: int) -> Edit:
    return lambda probes: probes.update({key: p[:rows] for key, p in probes.items() if key.startswith(name)})


def _retype(name: str) -> Edit:
    return lambda probes: probes.update({name: probes[name].astype(np.float64)})


def _drop(name: str) -> Edit:
    def edit(probes: dict[str, np.ndarray]) -> None:
        for key in [key for key in probes if key.startswith(name)]:
            del probes[key]

    return edit


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (_shift("encoder.mean", 0.01), r"probe encoder\.mean on cpu: differs .* by 0\.01"),
        (_shift("decoder.expectation", 0.01), r"probe decoder\.expectation on cpu"),
        (_shift("decoder.data", 1), r"probe decoder\.data on cpu"),
        (_shift("decoder.expectation", np.nan), r"probe decoder\.expectation on cpu"),
        (_shift("likelihood.log_likelihood", 0.1), r"probe likelihood\.log_likelihood on cpu"),
        (_drop("decoder."), r"holds no probes of the decoder"),
        (_drop("encoder.data"), r"holds no encoder\.data of uint8"),
        (_drop("encoder.log_variance"), r"holds no encoder\.log_variance"),
        (_drop("decoder.expectation"), r"holds no decoder\.expectation"),
        (_cut("encoder", 0), r"holds no probes of the encoder"),
        (_cut("decoder.data", 5), r"holds no probes of the decoder, or not as many rows"),
        (_retype("encoder.mean"), r"holds no encoder\.mean of float32"),
    ],
)
def test_refuses_a_package_whose_probes_disagree(
    tiny: Path, tmp_path: Path, settings: Settings, edit: Edit, said: str
) -> None:
    with pytest.raises(PackageError, match=said):
        load(_with_probes(tiny, tmp_path / "package", edit), settings)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (_shift("prior.gmm.latent", 0.01), r"probe prior\.gmm\.latent on cpu: differs .* by 0\.01"),
        (_drop("prior."), r"holds no probes of the prior\.gmm"),
        (_drop("prior.gmm.temperature"), r"holds no prior\.gmm\.temperature"),
    ],
)
def test_refuses_a_package_whose_prior_answers_otherwise(
    tmp_path: Path, settings: Settings, edit: Edit, said: str
) -> None:
    mixture = publish(tmp_path / "mixture", prior="gmm")
    assert load(mixture, settings).exactness.is_exact
    with pytest.raises(PackageError, match=said):
        load(_with_probes(mixture, tmp_path / "package", edit), settings)


def test_a_table_of_any_range_is_held_to_what_its_rows_reach(tmp_path: Path, settings: Settings) -> None:
    table = make(tmp_path / "table", (6,), minimum=-1e30, maximum=1e30).directory
    assert load(table, settings).exactness.is_exact
    for name in ("expectation", "data"):
        with pytest.raises(
            PackageError, match=rf"probe decoder\.{name} on cpu: differs .* is 1e-05 of a column's reach"
        ):
            load(_with_probes(table, tmp_path / name, _shift(f"decoder.{name}", 1e-3)), settings)


def test_refuses_an_altered_graph(tiny: Path, tmp_path: Path, settings: Settings) -> None:
    shutil.copytree(tiny, tmp_path / "package")
    with (tmp_path / "package/decoder.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(PackageError, match=r"decoder\.onnx: wrong checksum"):
        load(tmp_path / "package", settings)


def test_every_file_is_read_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: Counter[str] = Counter()

    def noted(path: Path, maximum_bytes: int) -> bytes:
        reads[path.name] += 1
        return read_regular(path, maximum_bytes)

    monkeypatch.setattr("vaeserve.package.directory.read_regular", noted)
    manifest = load(settings.package, settings).manifest
    assert reads == dict.fromkeys(["manifest.json", *(file.file for file in manifest.files)], 1)


def test_a_successor_with_other_rows_is_measured_anew(tiny: Path, free: Path, settings: Settings) -> None:
    measured = settings.model_copy(update={"threads": 0, "batch_rows": 0, "executors": 0})
    earlier = load(tiny, settings)
    earlier = earlier._replace(execution=Execution(1, 1, 3, "measured"))
    assert load(tiny, measured, earlier).execution == earlier.execution
    assert load(free, measured, earlier).execution.batch_rows != 3
