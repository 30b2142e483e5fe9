from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from tests.support import autoencoders
from training.imports.importing import Wishes, import_folder
from vaeserve.errors import TrainingError
from vaeserve.package.directory import ModelPackage


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    directory = tmp_path_factory.mktemp("prior")
    folder = autoencoders.save(directory / "tiny", "tiny")
    rows = np.random.default_rng(0).integers(0, 256, (5, 24, 24, 3), np.uint8)
    np.save(directory / "rows.npy", rows)
    wishes = Wishes("tiny", minimum=16, maximum=16, rows=directory / "rows.npy", fit_prior=directory / "rows.npy")
    return import_folder(directory / "package", folder, wishes).package


def _run(package: ModelPackage, graph: str, output: str, **feeds: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(package.read(package.manifest.all_graphs[graph]))
    answer: np.ndarray = session.run([output], feeds)[0]
    return answer


def test_the_fitted_prior_is_the_only_one_and_of_free_size(package: ModelPackage) -> None:
    [prior] = package.manifest.priors
    assert (prior.name, prior.noise_size, package.manifest.default_prior) == ("channels", None, "channels")
    assert prior.graph is not None
    assert [tensor.row_axes for tensor in prior.graph.inputs] == [(4, "height/2", "width/2"), ()]
    assert "draws decodes to textures, not to pictures" in (package.directory / "README.md").read_text()
    assert "reconstruction_psnr" in package.manifest.metrics


def test_draws_have_the_moments_of_the_latents_in_every_channel(package: ModelPackage) -> None:
    latents = package.read_probes()["encoder.mean"]
    noise = np.random.default_rng(0).standard_normal((2, 4, 40, 60), np.float32)
    drawn = _run(package, "prior.channels", "latent", noise=noise, temperature=np.ones(2, np.float32))
    assert drawn.shape == noise.shape
    means, spread = latents[:3].mean((0, 2, 3)), latents[:3].std((0, 2, 3))
    np.testing.assert_allclose(drawn.mean((0, 2, 3)), means, atol=float(spread.max()) / 2)
    colder = _run(package, "prior.channels", "latent", noise=noise, temperature=np.full(2, 0.5, np.float32))
    np.testing.assert_allclose(colder.std((0, 2, 3)), drawn.std((0, 2, 3)) / 2, rtol=1e-4)


def test_the_density_is_that_of_the_draws(package: ModelPackage) -> None:
    noise = np.random.default_rng(1).standard_normal((2, 4, 6, 10), np.float32)
    noise[1] = 0
    latent = _run(package, "prior.channels", "latent", noise=noise, temperature=np.ones(2, np.float32))
    scores = _run(package, "density.channels", "log_prior", latent=latent)
    np.testing.assert_allclose(scores[1] - scores[0], 0.5 * (noise[0] ** 2).sum(), rtol=1e-3)


def test_latents_that_are_constant_have_no_prior(tmp_path: Path) -> None:
    module = autoencoders.make("tiny")
    with torch.no_grad():
        for weight in module.encoder.parameters():
            weight.zero_()
    module.save_pretrained(tmp_path / "tiny")
    np.save(tmp_path / "rows.npy", np.zeros((1, 16, 16, 3), np.uint8))
    wishes = Wishes("tiny", minimum=16, maximum=16, fit_prior=tmp_path / "rows.npy")
    with pytest.raises(TrainingError, match="a channel of the latents is constant"):
        import_folder(tmp_path / "package", tmp_path / "tiny", wishes)
