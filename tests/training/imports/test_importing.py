import re
import runpy
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from tests.support import autoencoders
from tests.support.servers import ROOT
from tests.training.imports.conftest import Imported
from training.imports.figures import psnr
from training.imports.importing import Wishes, import_folder
from vaeserve import Local
from vaeserve.errors import PackageError, TrainingError
from vaeserve.package.directory import ModelPackage
from vaeserve.package.sizes import PictureSize

FAMILIES = ["kl", "kl_plain", "tiny", "dc", "flux2"]
SIZES = [(16, 16), (16, 64), (48, 20), (24, 32), (64, 64)]


def _run(package: ModelPackage, graph: str, **feeds: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(package.read(package.manifest.all_graphs[graph]))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def _pixels(data: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(data).permute(0, 3, 1, 2).float() / 127.5 - 1


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_package_says_what_the_pair_is(imported: Imported, kind: str) -> None:
    manifest = ModelPackage.open(imported(kind).directory).manifest
    factor = 4 if kind == "flux2" else 2
    assert manifest.latent_shape == (16 if kind == "flux2" else 4, f"height/{factor}", f"width/{factor}")
    assert manifest.data.axes == ("height", "width", 3)
    assert manifest.data.sizes is not None
    assert manifest.data.sizes.multiple == factor
    assert manifest.data.sizes.default == (PictureSize(64, 64) if kind in ("tiny", "dc") else PictureSize(48, 48))
    assert manifest.posterior == ("none" if kind in ("tiny", "dc") else "gaussian")
    assert (manifest.priors, manifest.default_prior, manifest.likelihood.family) == ((), "", "unknown")
    assert manifest.parity is not None
    assert {check.output for check in manifest.parity.checks} >= {"encoder.mean", "decoder@24x16.expectation"}
    assert manifest.metrics["parity_cosine"] > 0.99999
    assert manifest.metrics["parity_psnr"] > 90
    assert set(manifest.probes.tolerances) == {"cpu", "cuda"}


@pytest.mark.parametrize("kind", FAMILIES)
def test_graphs_keep_footprints_that_grow_with_the_picture(imported: Imported, kind: str) -> None:
    for graph in imported(kind).manifest.graphs.by_name.values():
        pixels, sizes = zip(*((footprint.pixels, footprint.bytes) for footprint in graph.footprints), strict=True)
        assert pixels == (16**2, 32**2, 64**2)
        assert all(later > 3 * before for before, later in pairwise(sizes))


@pytest.mark.parametrize("kind", ["kl", "tiny", "dc"])
def test_any_size_in_any_batch_is_answered_as_diffusers_does(imported: Imported, kind: str) -> None:
    module, package = autoencoders.make(kind), imported(kind)
    factor = module.config.get("scaling_factor", 1.0)
    for number, (height, width) in enumerate(SIZES):
        data = np.random.default_rng(number).integers(0, 256, (number + 1, height, width, 3), np.uint8)
        with torch.inference_mode():
            answer = module.encode(_pixels(data))
            raw = answer.latent_dist.mean if kind == "kl" else next(iter(answer.values()))
            decoded = module.decode(raw).sample
        encoded = _run(package, "encoder", data=data)
        np.testing.assert_allclose(encoded["mean"], raw * factor, atol=1e-5, rtol=1e-4)
        if kind == "kl":
            shifted = answer.latent_dist.logvar + 2 * np.log(factor)
            np.testing.assert_allclose(encoded["log_variance"], shifted, atol=1e-4, rtol=1e-4)
        pictures = _run(package, "decoder", latent=(raw * factor).numpy())
        expected = (decoded.permute(0, 2, 3, 1) / 2 + 0.5) * 255
        assert psnr(pictures["expectation"], expected.numpy()) > 90
        assert abs(pictures["data"].astype(int) - expected.clamp(0, 255).round().int().numpy()).max() <= 1


def test_flux2s_latents_are_patches_with_mean_0_and_variance_1(imported: Imported) -> None:
    module, data = autoencoders.make("flux2"), np.random.default_rng(0).integers(0, 256, (2, 32, 24, 3), np.uint8)
    with torch.inference_mode():
        raw = module.encode(_pixels(data)).latent_dist.mean
        scaled = module.bn(torch.nn.functional.pixel_unshuffle(raw, 2))
    np.testing.assert_allclose(_run(imported("flux2"), "encoder", data=data)["mean"], scaled, atol=1e-4)


@pytest.mark.parametrize("kind", ["kl_plain", "tiny"])
def test_the_example_finds_no_difference(imported: Imported, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    example = runpy.run_path(str(ROOT / "examples" / "against_diffusers.py"))
    with Local(imported(kind).directory) as vae, torch.inference_mode():
        example["compare"](vae, autoencoders.make(kind), 2, (16, 24))
    latents, cosine, pictures = map(float, re.findall(r"[\d.]+e-\d+|[01]\.\d{7}", capsys.readouterr().out))
    assert latents < 1e-4
    assert cosine > 0.99999
    assert pictures < 1e-4


def test_the_example_takes_a_pipelines_folder_and_raw_latents(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    autoencoders.save(tmp_path / "vae", "tiny", scaling_factor=0.5, shift_factor=0.25)
    import_folder(tmp_path / "package", tmp_path, Wishes("raw", latents="raw", minimum=16, maximum=32))
    example = str(ROOT / "examples" / "against_diffusers.py")
    monkeypatch.setattr("sys.argv", [example, str(tmp_path), str(tmp_path / "package")])
    runpy.run_path(example, run_name="__main__")
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("1 of 32 x 32 (width x height): ")
    assert all(float(latents) < 1e-4 for latents in re.findall(r"latents differ by up to ([\d.e+-]+),", said.out))
    assert "accelerate" not in said.err


def test_raw_latents_are_those_of_the_network(tmp_path: Path) -> None:
    folder = autoencoders.save(tmp_path / "raw", "tiny", scaling_factor=0.5, shift_factor=0.25)
    wishes = Wishes("raw", latents="raw", minimum=16, maximum=16)
    package = import_folder(tmp_path / "package", folder, wishes).package
    scaling = package.manifest.scaling
    assert scaling is not None
    assert (scaling.shift, scaling.scale, scaling.applied) == ((0.25,), (0.5,), False)
    data = np.full((1, 16, 16, 3), 200, np.uint8)
    with torch.inference_mode():
        raw = autoencoders.make("tiny").encode(_pixels(data)).latents
    np.testing.assert_allclose(_run(package, "encoder", data=data)["mean"], raw, atol=1e-5)
    readme = (package.directory / "README.md").read_text()
    assert "computes `latents = (z - shift_factor) * scaling_factor` (shift 0.25, scale 0.5)" in readme


def test_an_existing_directory_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    with pytest.raises(PackageError, match="already exists"):
        import_folder(tmp_path, tmp_path / "nowhere", Wishes("any"))


def test_a_pair_whose_author_wants_float32_is_not_halved(tmp_path: Path) -> None:
    autoencoders.save(tmp_path / "vae", "kl")
    with pytest.raises(TrainingError, match=r"config\.json says force_upcast"):
        import_folder(tmp_path / "package", tmp_path, Wishes(name="kl", precision="fp16"))
