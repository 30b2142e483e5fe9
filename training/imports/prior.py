"""A prior of free size: a Gaussian for each channel of the latent, alike in every place, fitted to pictures' latents.

It knows nothing of how places hang together, so what it draws decodes to textures and not to pictures. It shows that
sampling works, and it is a density to compare latents with.
"""

from collections.abc import Iterable
from math import log, pi

import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim

from training.export.graphs import ExportedGraph, read_back, trace
from training.export.priors import ExportedPrior
from training.export.probes import LARGE, GraphModule, Probe, probe
from training.imports.pair import EXAMPLE, Pair
from training.imports.pictures import Pictures
from training.imports.sizes import sizes_in, trial_sizes
from vaeserve.errors import TrainingError
from vaeserve.package.contents import BATCH
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.probes import probe_suffix
from vaeserve.package.row_spec import LatentSpec
from vaeserve.package.signatures import Signature, prior_signatures
from vaeserve.package.sizes import Axes, PictureSize

NAME = "channels"
WORTH = (
    "`channels`, a Gaussian for each channel of the latent, alike in every place and fitted to pictures. It "
    "knows nothing of how places hang together: what it draws decodes to textures, not to pictures."
)
PICTURES, MOST_SIDE = 64, 256  # that it is fitted to, and the sides that these are brought to
_TEMPERATURES = (1.0, 0.5, 2.0, 1e-3)


class ChannelSampler(nn.Module):
    """noise [batch, channels, height, width], temperature [batch] -> latent."""

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.mean, self.deviation = nn.Buffer(mean.reshape(-1, 1, 1)), nn.Buffer(deviation.reshape(-1, 1, 1))

    def forward(self, noise: Tensor, temperature: Tensor) -> Tensor:
        """Returns latents of the noise's shape."""
        return self.mean + self.deviation * temperature.reshape(-1, 1, 1, 1) * noise


class ChannelDensity(nn.Module):
    """latent -> log_prior [batch], in nats."""

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.mean, self.deviation = nn.Buffer(mean.reshape(-1, 1, 1)), nn.Buffer(deviation.reshape(-1, 1, 1))

    def forward(self, latent: Tensor) -> Tensor:
        """Returns the density of each latent."""
        noise = (latent - self.mean) / self.deviation
        return -(0.5 * noise.square() + self.deviation.log() + 0.5 * log(2 * pi)).sum((1, 2, 3))


def fit_channels(pair: Pair, data: DataSpec, pictures: Pictures) -> tuple[Tensor, Tensor]:
    """Returns mean and standard deviation of each channel, over draws from the posteriors of pictures.

    Raises:
        TrainingError: a channel is constant.
        InvalidInput: a picture cannot be read.
    """
    moments = list(_moments(pair, data, pictures))
    mean = torch.stack([first for first, _ in moments]).mean(0)
    variance = torch.stack([second for _, second in moments]).mean(0) - mean**2
    if not (variance > 0).all():
        raise TrainingError("--fit-prior: a channel of the latents is constant, so no Gaussian can be fitted to it")
    return mean.float(), variance.sqrt().float()


def export_channels(pair: Pair, data: DataSpec, axes: Axes, mean: Tensor, deviation: Tensor) -> ExportedPrior:
    """Returns the prior as graphs, with probes at several sizes to prove them on.

    Raises:
        TrainingError: PyTorch could not export a graph.
    """
    modules = {
        f"prior.{NAME}": GraphModule(ChannelSampler(mean, deviation), ("noise", "temperature"), ("latent",)),
        f"density.{NAME}": GraphModule(ChannelDensity(mean, deviation), ("latent",), ("log_prior",)),
    }
    signatures, probes = prior_signatures(NAME, None, axes), dict[str, Probe]()
    latent = LatentSpec(axes, data.sizes)
    sizes = sizes_in(data)
    for size in trial_sizes(sizes):
        probes |= _probes(modules, latent.at(size).shape, probe_suffix(size, sizes))
    graph, density = (_export(name, modules[name], signatures[name], pair) for name in modules)
    return ExportedPrior(NAME, None, graph, density, probes)


def _moments(pair: Pair, data: DataSpec, pictures: Pictures) -> Iterable[tuple[Tensor, Tensor]]:
    """Yields the mean of every picture's draws, and that of their squares, by channel."""
    sizes = sizes_in(data)
    side = max(min(*sizes.default, MOST_SIDE) // sizes.multiple * sizes.multiple, sizes.minimum)
    rows = pictures.at(PictureSize(side, side), PICTURES)
    for number in range(len(rows)):
        outputs = probe(pair.references["encoder"], {"data": rows[number : number + 1]}, 1).outputs
        mean = torch.from_numpy(outputs["mean"]).double()
        variance = torch.from_numpy(outputs["log_variance"]).double().exp() if "log_variance" in outputs else 0
        yield mean.mean((0, 2, 3)), (mean**2 + variance).mean((0, 2, 3))


def _probes(modules: dict[str, GraphModule], shape: tuple[int, ...], suffix: str) -> dict[str, Probe]:
    noise = torch.randn(len(_TEMPERATURES), *shape, generator=torch.Generator().manual_seed(0))
    noise[-1] = LARGE * noise[-1].sign()
    sampler, density = modules
    drawn = probe(modules[sampler], {"noise": noise, "temperature": torch.tensor(_TEMPERATURES)})
    scored = probe(modules[density], {"latent": torch.from_numpy(drawn.outputs["latent"])})
    return {f"{sampler}{suffix}": drawn, f"{density}{suffix}": scored}


def _export(name: str, module: GraphModule, signature: Signature, pair: Pair) -> ExportedGraph:
    rows, *sides = EXAMPLE
    shape = (rows, pair.latent_channels, *sides)
    example = {tensor: torch.ones(rows if tensor == "temperature" else shape).numpy() for tensor in module.inputs}
    places = {2: Dim("high"), 3: Dim("wide")}
    free = {tensor: places for tensor in module.inputs if tensor != "temperature"}
    model = trace(name, module, example, free)
    tensors = {**signature.inputs, **signature.outputs}
    for value in (*model.graph.input, *model.graph.output):
        _, axes = tensors[value.name]
        value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, (BATCH, *axes)))
    return read_back(name, model)
