"""Folders of ONNX graphs as Optimum writes them: `vae_encoder/model.onnx` and `vae_decoder/model.onnx`.

Their encoder may draw the latent itself: mean + exp(log_variance / 2) * noise. The tensors before the draw become its
outputs, and the draw goes away.
"""

from pathlib import Path

import onnx
import torch
from torch import Tensor

from training.bring.component import Component
from training.bring.files import read_graph, runner_of
from training.imports.borders import LEAST_LOG_VARIANCE, MOST_LOG_VARIANCE
from training.imports.draw import check_draw, without_draw
from training.imports.families import FAMILIES, Config
from training.imports.folder import CONFIG_FILE, read_config
from training.imports.pair import Pair, Posterior, references_of, sample_size_of
from training.imports.pictures import made_picture
from training.imports.reference import Own, pipeline_of
from training.imports.scaling import missing_note, scaling_of
from vaeserve.errors import TrainingError
from vaeserve.package.sizes import PictureSize

ENCODER, DECODER = (Path(part) / "model.onnx" for part in ("vae_encoder", "vae_decoder"))
_MOST_CHANNELS, _MOST_SIDE = 64, 8192  # of pictures that are made to try a graph
SIDE = 64  # of the pictures that a graph is tried with, where it does not name a side itself


def is_optimum(folder: Path) -> bool:
    """Whether a folder holds a pair of ONNX graphs."""
    return (folder / ENCODER).is_file() and (folder / DECODER).is_file()


def optimum_pair(folder: Path, *, applied: bool) -> Pair:
    """Returns the pair that lies in a folder.

    Args:
        folder: that of the pipeline.
        applied: whether its latents are to be scaled as its pipeline scales them.

    Raises:
        TrainingError: a graph cannot be served, or its draw is not of the kind that can be taken away.
    """
    own_config = _config(folder)
    class_name = str(own_config.get("_class_name", ""))
    config = {"scaling_factor": FAMILIES[class_name].scaling_factor if class_name in FAMILIES else 1.0, **own_config}
    original, decoder = (_read(folder, part) for part in (ENCODER, DECODER))
    encoder = without_draw(original)
    roles = ("mean", "log_variance") if len(encoder.graph.output) == 2 else ("mean",)
    encode, decode = (runner_of(str(name), graph) for name, graph in ((ENCODER, encoder), (DECODER, decoder)))
    pictures = _example(original)
    latent = encode(pictures)[0]
    factor, channels = _factor(pictures, latent), latent.shape[1]
    if encoder is not original and len(roles) == 2:
        check_draw(encode(pictures), runner_of(str(ENCODER), original)(pictures)[0])
    if len(roles) == 1 and channels == 2 * (_channels(decoder) or config.get("latent_channels", 0)):
        roles, channels = ("moments",), channels // 2
    own = Own(lambda pixels: _moments(encode(pixels), roles), lambda raw: decode(raw)[0].float())
    posterior: Posterior = "none" if roles == ("mean",) else "gaussian"
    side = _fixed_side(original)
    return Pair(
        origin="ONNX graphs of Optimum",
        posterior=posterior,
        channels=pictures.shape[1],
        latent_channels=channels,
        factor=factor,
        sample_size=side or sample_size_of(config),
        scaling=scaling_of(config, channels, applied=applied),
        encoder=Component(str(ENCODER), encode, roles, lambda: encoder),
        decoder=Component(str(DECODER), decode, ("expectation",), lambda: decoder),
        references=references_of(own, pipeline_of(config, None, scales=applied), posterior),
        must_upcast=bool(config.get("force_upcast")),
        notes=(note,) if (note := missing_note(config, own_config, class_name)) else (),
        only_side=side,
    )


def _read(folder: Path, part: Path) -> onnx.ModelProto:
    model = read_graph(folder / part)
    if not model.graph.output:
        raise TrainingError(f"{part}: answers nothing")
    return model


def _moments(answers: tuple[Tensor, ...], roles: tuple[str, ...]) -> tuple[Tensor, ...]:
    mean, *others = (answer.float() for answer in answers)
    if roles == ("moments",):
        mean, *others = mean.chunk(2, 1)
    return (mean, *(other.clamp(LEAST_LOG_VARIANCE, MOST_LOG_VARIANCE) for other in others))


def _example(model: onnx.ModelProto) -> Tensor:
    """Returns made pictures as the encoder takes them."""
    side, channels = _fixed_side(model) or SIDE, _channels(model) or 3
    if not (0 < channels <= _MOST_CHANNELS and 0 < side <= _MOST_SIDE):
        raise TrainingError(f"{ENCODER}: takes {channels} channels of {side} x {side}, which are not pictures")
    pictures = [torch.from_numpy(made_picture(PictureSize(side, side), channels, seed)) for seed in range(3)]
    return torch.stack(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def _factor(pictures: Tensor, latent: Tensor) -> int:
    """Returns the pixels of a side below each place of the latents of some pictures."""
    factor = pictures.shape[2] // latent.shape[2] if latent.ndim == 4 else 0
    if not factor or pictures.shape[2:] != tuple(factor * side for side in latent.shape[2:]):
        answered, taken = (list(each.shape[1:]) for each in (latent, pictures))
        raise TrainingError(f"{ENCODER}: answers {answered} for pictures of {taken}, which are not their latents")
    return factor


def _channels(model: onnx.ModelProto) -> int:
    """Returns how many channels a graph takes; 0: it does not say."""
    axes = model.graph.input[0].type.tensor_type.shape.dim
    return int(axes[1].dim_value) if len(axes) > 1 else 0


def _fixed_side(model: onnx.ModelProto) -> int | None:
    """Returns the side of the pictures that a graph was made for; None: they have any size."""
    if len(model.graph.input) != 1 or len(axes := model.graph.input[0].type.tensor_type.shape.dim) != 4:
        raise TrainingError(f"{ENCODER}: must take one tensor [batch, channels, height, width]")
    height, width = (axis.dim_value for axis in axes[2:])
    if height != width:
        raise TrainingError(f"{ENCODER}: is made for pictures of {width} x {height} alone: export it with free axes")
    return height or None


def _config(folder: Path) -> Config:
    """Returns the configuration beside a graph, or that of `vae/`; empty if there is none."""
    for place in (folder / DECODER.parent, folder / ENCODER.parent, folder / "vae"):
        if (place / CONFIG_FILE).is_file():
            return read_config(place)
    return {}
