from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tests.support.autoencoders import make
from tests.support.optimum_folders import Noisy, Parameters, save_optimum
from training.imports.importing import Wishes, data_of, import_folder
from training.imports.optimum import DECODER, ENCODER, optimum_pair
from vaeserve.errors import TrainingError
from vaeserve.package.sizes import PictureSize, PictureSizes


@pytest.fixture(scope="module")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_optimum(tmp_path_factory.mktemp("drawing"))


def test_a_draw_within_the_encoder_is_taken_away(drawing: Path, tmp_path: Path) -> None:
    wishes = Wishes("kl", minimum=16, maximum=64, default=PictureSize(16, 16))
    package = import_folder(tmp_path / "package", drawing, wishes).package
    manifest = package.manifest
    assert manifest.latent_shape == (4, "height/2", "width/2")
    assert (manifest.posterior, manifest.data.sizes is not None) == ("gaussian", True)
    first, *_, last = manifest.graphs.encoder.footprints
    assert last.bytes > 10 * first.bytes
    session = onnxruntime.InferenceSession(package.read(manifest.graphs.encoder))
    data = np.random.default_rng(0).integers(0, 256, (3, 48, 20, 3), np.uint8)
    answers = dict(zip(("mean", "log_variance"), session.run(["mean", "log_variance"], {"data": data}), strict=True))
    with torch.inference_mode():
        pixels = torch.from_numpy(data).permute(0, 3, 1, 2).float() / 127.5 - 1
        posterior = make("kl", mid_block_add_attention=False).encode(pixels).latent_dist
    np.testing.assert_allclose(answers["mean"], posterior.mean * 0.5, atol=1e-5)
    np.testing.assert_allclose(answers["log_variance"], posterior.logvar + 2 * np.log(0.5), atol=1e-4)


def test_an_encoder_that_answers_parameters_is_taken_as_it_is(tmp_path: Path) -> None:
    pair = optimum_pair(save_optimum(tmp_path, Parameters), applied=True)
    assert (pair.posterior, pair.latent_channels, pair.encoder.roles) == ("gaussian", 4, ("moments",))
    assert (pair.factor, pair.sample_size, pair.scaling.scale) == (2, 48, (0.5,))


def test_stable_diffusions_factor_is_taken_where_its_configuration_names_none(tmp_path: Path) -> None:
    folder = save_optimum(tmp_path, Parameters)
    config = folder / "vae_decoder" / "config.json"
    config.write_text('{"_class_name": "AutoencoderKL", "latent_channels": 4}')
    pair = optimum_pair(folder, applied=True)
    assert pair.scaling.scale == (0.18215,)
    assert pair.notes == ("config.json has no scaling_factor: 0.18215 is taken, AutoencoderKL's default",)
    config.unlink()
    pair = optimum_pair(folder, applied=True)
    assert (pair.scaling.scale, pair.notes) == ((1.0,), ("config.json has no scaling_factor: 1 is taken",))
    assert (pair.latent_channels, pair.posterior) == (4, "gaussian")


def test_graphs_for_one_size_keep_it(tmp_path: Path) -> None:
    pair = optimum_pair(save_optimum(tmp_path, Parameters, side=32), applied=True)
    sizes = data_of(pair, Wishes("kl")).sizes
    assert sizes == PictureSizes(multiple=2, minimum=32, maximum=32, default=PictureSize(32, 32))


def test_another_way_of_drawing_is_refused(tmp_path: Path) -> None:
    folder = save_optimum(tmp_path, Noisy)
    with pytest.raises(TrainingError, match="encoder: draws 2 times"):
        optimum_pair(folder, applied=True)


def _swap(encoder: onnx.ModelProto, decoder: onnx.ModelProto) -> onnx.ModelProto:
    return decoder


def _wide(encoder: onnx.ModelProto, decoder: onnx.ModelProto) -> onnx.ModelProto:
    encoder.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 10**9
    return encoder


def _silent(encoder: onnx.ModelProto, decoder: onnx.ModelProto) -> onnx.ModelProto:
    del encoder.graph.output[:]
    return encoder


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_swap, r"answers \[3, 128, 128\] for pictures of \[4, 64, 64\], which are not their latents"),
        (_wide, "takes 1000000000 channels of 64 x 64, which are not pictures"),
        (_silent, "model.onnx: answers nothing"),
    ],
)
def test_graphs_that_are_no_encoder_are_refused(
    tmp_path: Path, change: Callable[[onnx.ModelProto, onnx.ModelProto], onnx.ModelProto], reason: str
) -> None:
    folder = save_optimum(tmp_path)
    changed = change(onnx.load(folder / ENCODER), onnx.load(folder / DECODER))
    onnx.save(changed, folder / ENCODER)
    with pytest.raises(TrainingError, match=reason) as refusal:
        optimum_pair(folder, applied=True)
    assert "\n" not in str(refusal.value)
