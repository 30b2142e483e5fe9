import json
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests.support import autoencoders
from training.imports.folder import find_folder, load
from vaeserve.errors import TrainingError

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return autoencoders.save(tmp_path / "pipeline" / "vae", "tiny")


def _configure(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _without_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _without_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def _only_pickles(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "diffusion_pytorch_model.bin")


def _cut_short(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-100])


def _of_other_widths(folder: Path) -> None:
    _configure(folder, latent_channels=8)


def _incomplete(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    tensors.pop("decoder.layers.0.weight")
    save_file(tensors, folder / WEIGHTS)


REFUSED: dict[str, Callable[[Path], object]] = {
    "holds no config.json, and there is none in vae/": _without_config,
    "config.json: is not JSON": lambda folder: (folder / "config.json").write_text("{"),
    "config.json: is not a JSON object": lambda folder: (folder / "config.json").write_text("[]"),
    "config.json: names no _class_name; known are AutoencoderKL, ": lambda folder: _configure(folder, _class_name=None),
    "is of class AutoencoderKLWan; known are AutoencoderKL, AutoencoderTiny": lambda folder: _configure(
        folder, _class_name="AutoencoderKLWan"
    ),
    r"config.json: is of class \['AutoencoderKL'\]; known are": lambda folder: _configure(
        folder, _class_name=["AutoencoderKL"]
    ),
    "holds no diffusion_pytorch_model.safetensors$": _without_weights,
    "those in .bin files are pickles, which may run code": _only_pickles,
    "diffusion_pytorch_model.safetensors: is damaged or was cut short": _cut_short,
    "diffusers cannot load it: .*size mismatch": _of_other_widths,
    "the weights lack 1 tensors of the network, first decoder.layers.0.weight": _incomplete,
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_folder_is_refused_in_one_line(folder: Path, reason: str) -> None:
    REFUSED[reason](folder)
    with pytest.raises(TrainingError, match=reason) as refusal:
        load(find_folder(folder))
    assert "\n" not in str(refusal.value)


def test_the_folder_of_a_pipeline_is_searched(folder: Path) -> None:
    assert find_folder(folder) == folder
    assert find_folder(folder.parent) == folder
    (folder.parent / "config.json").write_text('{"_class_name": "FluxPipeline"}')
    assert find_folder(folder.parent) == folder.parent
    (folder.parent / "model_index.json").write_text("{}")
    assert find_folder(folder.parent) == folder


def test_nothing_is_downloaded(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="is not a folder; nothing is downloaded"):
        find_folder(tmp_path / "stabilityai")


def test_weights_in_half_precision_alone_become_float32(tmp_path: Path) -> None:
    module = autoencoders.make("tiny")
    module.half().save_pretrained(tmp_path, variant="fp16")
    loaded = load(tmp_path)
    assert {str(weight.dtype) for weight in loaded.module.parameters()} == {"torch.float32"}
